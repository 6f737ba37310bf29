"""A fail-over done on purpose, or waited for: load, connections held, the fault, its end."""
