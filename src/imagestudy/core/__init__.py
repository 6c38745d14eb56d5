"""Basics that every other package uses: paths, errors, seeding, specs, registries, file writing, downloads and text formatting."""
