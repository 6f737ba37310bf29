"""Timeouts from a service's counters alone: series, interpretations that fit, and their names."""
