"""Sections on the directors' entries: states, lifetimes, real servers, polled against predicted.

What they would have been under other settings stands in ``other_settings/``.
"""
