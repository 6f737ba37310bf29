"""The model alone, from a question and no recording.

How many entries a load makes, in which states, what they cost. Also the one table of ways in which
connections close.
"""
