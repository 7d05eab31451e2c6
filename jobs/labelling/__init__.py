"""Labelling a folder of images with a frozen graph that is broadcast to the executors."""
