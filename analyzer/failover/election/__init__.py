"""VRRP's side of a fail-over: who was master when, by whose capture, and how long it had to take.

From advertisements and BFD packets; of what the clients saw, only the instant of the fault is used.
"""
