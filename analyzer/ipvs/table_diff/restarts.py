"""When an entry's timer counts as restarted between two polls."""

from __future__ import annotations

RESTART_S = 1.5
"""Whole seconds are printed, rounded down: a timer that gained more than this was restarted."""

BUSY_STATES = ("ESTABLISHED", "UDP")
"""Of entries whose every packet restarts the timer."""

LONGEST_S = 1_000_000_000
"""A timer that is printed with more has this: sums with instants stay within 64 bits."""
