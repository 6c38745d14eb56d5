"""Where runs are executed: this machine, or a cluster behind the same interface."""
