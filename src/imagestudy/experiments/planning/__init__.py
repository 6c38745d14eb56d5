"""One door: a folder of images and a budget in, a study file out."""
