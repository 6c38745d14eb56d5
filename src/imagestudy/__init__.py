"""A comparative study of deep learning in image recognition: the helpers that the notebooks import."""
