"""Curves as charts need them.

Few points that keep every extreme, and folds that no document has. It draws nothing.
"""
