"""One read of the connection table against the one before.

Which entries appeared, changed, or went, and what a read that may be torn proves.
"""
