"""The page of a run in progress.

It has the same charts as the report, from the data so far, without findings.
"""
