"""TCP as the packets engine plays it: a table of states, and columns of connections.

No socket and no clock.
"""
