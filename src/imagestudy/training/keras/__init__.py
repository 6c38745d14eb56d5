"""Training in Keras on TensorFlow, and how its numbers compare with those of PyTorch."""
