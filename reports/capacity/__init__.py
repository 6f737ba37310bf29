"""Capacity of several directors, computed and proved, as documents.

The sums are ``analyzer.capacity``'s.
"""
