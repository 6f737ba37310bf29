"""What the directors were seen to hold.

Entries' lifetimes from changes of the table, and the table at any instant. No packet is looked at.
"""
