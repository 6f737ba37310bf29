"""Processes that run an engine: each one's share, the worker's own side, the pool that starts them.

They never choose a packet or an instant: engines and schedules do.
"""
