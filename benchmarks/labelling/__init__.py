"""Labelling beside the bare graph and beside other ways to label: one machine, one run, the same images."""
