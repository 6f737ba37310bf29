"""The page of one run, section by section, and the summary on the terminal.

It shows an Analysis and computes no numbers.
"""
