"""Fail-overs repeated, as a page and as the terminal's lines.

What a single fail-over showed is a section of the page of its run.
"""
