"""Comparisons of two runs, or of a folder of runs.

What differs, and whether that is more than chance. ``regression.py`` judges pairs of runs,
``history.py`` a folder. It never reads a run's packets; it compares
what each analysis found.
"""
