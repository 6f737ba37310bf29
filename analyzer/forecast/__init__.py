"""The model without a recording: the entries that a load makes, their states and their cost.

Also the table of the ways in which connections close.
"""
