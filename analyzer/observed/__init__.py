"""Connection tables as the polls saw them.

Entries from the recorded changes, and the table at any instant. No packet is used.
"""
