"""Data sets: their sources, the checks on them, their splits, and how they lie in the workspace."""
