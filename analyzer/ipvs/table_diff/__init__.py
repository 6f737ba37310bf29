"""One read of the connection table against the one before.

Which entries appeared, changed, or ended, and what a read that may be torn proves.
"""
