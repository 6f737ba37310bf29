"""Findings about timeouts, entries and drains."""
