"""Observed entries beside the predicted ones, joined entry by entry.

Agreement, curves, early ends, and other timeouts for the same packets. It draws no conclusions;
``estimate`` and ``findings`` do.
"""
