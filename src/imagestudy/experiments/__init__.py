"""Plan the runs of a study, execute them, and store their records."""
