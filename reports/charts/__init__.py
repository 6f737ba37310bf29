"""What charts are made of: axes, marks, curves, colours, and numbers as words.

Used by every page; knows no page.
"""
