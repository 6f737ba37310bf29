"""The same packets under other timeouts, forwarding or sysctls.

It replays what one director had, and changes nothing of what was measured.
"""
