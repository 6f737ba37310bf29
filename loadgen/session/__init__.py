"""A run's life, whatever it does.

Its activities, its signals, its progress, its manifest, and its end. It knows no director and no
load.
"""
