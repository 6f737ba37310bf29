"""Directors' timeouts: changed for a while, and put back as they were.

Nothing else in this program changes anything on a director that is not a lab's.
"""
