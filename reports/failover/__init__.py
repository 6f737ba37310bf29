"""Fail-overs repeated, as a document.

What a single fail-over showed is a section of the page of its run.
"""
