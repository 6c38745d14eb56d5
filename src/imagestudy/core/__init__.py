"""The ground floor: paths, errors, seeds, specs, the registry, files, downloads and text."""
