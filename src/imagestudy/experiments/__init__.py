"""From a study to its grid of runs, and from a run to its record."""
