"""Which timeout governs the decay, and what it measures.

From entries and packets, from counters alone, or from falls against packets; each with its
uncertainty, or with the reason why it is not known.
"""
