"""The page of one run, section by section, and the end of the terminal output.

It shows an Analysis and computes no number of its own.
"""
