"""Each director's entries as the packets predict them.

Its rules, which of the packets it had, the phase of its timers, the replay, and each entry's states
and end. What was polled serves only to learn the rules.
"""
