"""Labelling a set of images with a frozen graph that is broadcast to the executors."""
