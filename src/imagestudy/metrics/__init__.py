"""Labels and outputs → scores, one file a task."""
