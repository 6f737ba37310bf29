"""Capacity of several directors, computed and proved: pages and the terminal's lines.

The sums are ``analyzer.capacity``'s.
"""
