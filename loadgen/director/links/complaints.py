"""What a link, or a program behind it, complained of, in words that a recording may hold.

The line itself may name bastions and users, and whoever is at the other end writes it: a recording
has only what stands here.
"""

from __future__ import annotations

import re

UNKNOWN = "the link or the program behind it ended"
_KNOWN = (
    "Permission denied",
    "don't have permission",
    "Operation not permitted",
    "a password is required",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Connection closed",
    "Could not resolve hostname",
    "Host key verification failed",
    "Too many authentication failures",
    "No route to host",
    "Network is unreachable",
    "No such device",
    "No such file or directory",
    "Broken pipe",
    "tcpdump: not found",
    "not found",
    "/proc/uptime cannot be parsed",
    "not connected",
    "no answer from the worker",
    "the worker is not there",
    "no answer",
    "the link was closed",
)
_WITH_NUMBERS = re.compile(
    r"no answer in \d{1,6}(?:\.\d{1,3})? s|an answer of more than \d{1,4} MB", re.ASCII
)


def recorded(complaint: str) -> str:
    """The first of the known reasons that a complaint has in it."""
    if numbered := _WITH_NUMBERS.search(complaint):
        return numbered[0]
    return next((known for known in _KNOWN if known.lower() in complaint.lower()), UNKNOWN)
