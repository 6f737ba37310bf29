"""The page of a run that is still on.

The same charts as afterwards, from what is known so far; it judges nothing.
"""
