"""A Forecast as a document: the model's answer without a run.

The numbers are ``analyzer.forecast``'s.
"""
