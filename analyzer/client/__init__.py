"""The client's side of a run.

Requests, how long they took, why they failed, who answered them, and the hosts' own TCP states. It
knows nothing of what a director holds.
"""
