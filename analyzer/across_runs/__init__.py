"""Comparisons of two runs, or of a folder of runs.

What differs, and whether that is more than chance: ``regression.py`` judges two runs,
``history.py`` a folder of them. No run's packets are read: what the analyses found is compared.
"""
