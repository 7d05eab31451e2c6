"""Back-up and restore: the databases, the workspace and the keys of a stack, as one folder."""
