"""The client's side of a run.

Requests, how long they took, why they failed, who answered them, and the hosts' own TCP states. It
uses nothing of what a director holds.
"""
