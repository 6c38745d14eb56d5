"""Write a study file for a folder of images and a time budget."""
