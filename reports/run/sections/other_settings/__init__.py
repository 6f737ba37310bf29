"""Sections on what the same packets would have led to under other settings."""
