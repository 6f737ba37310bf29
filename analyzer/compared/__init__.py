"""Observed entries beside the predicted ones, joined entry by entry.

Agreement, curves, early ends. It draws no conclusions;
``estimate`` and ``findings`` do.
"""
