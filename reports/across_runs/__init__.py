"""Several runs on one page: compared with each other, or a folder of them in the order of time.

What differs is found in ``analyzer.across_runs``; nothing is computed here.
"""
