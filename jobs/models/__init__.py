"""Model builders, freezing, and reading any frozen graph."""
