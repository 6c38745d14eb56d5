"""Training with Keras on TensorFlow, and comparisons of its numbers with those of PyTorch."""
