"""Execute runs on this machine, or on a cluster through the same interface."""
