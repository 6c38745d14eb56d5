"""Scores computed from labels and model outputs, one module per task."""
