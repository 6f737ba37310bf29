"""Two runs, or a folder of them, set side by side.

What differs, and whether that is more than chance. It never looks into a run's packets; it compares
what each analysis found.
"""
