"""Prose and other lines that no reader of this package takes, refused by one pattern.

A long text that is not ipvsadm's has millions of them; the careful readers take 12 µs for each.
"""

from __future__ import annotations

import re

from analyzer.ipvs.ipvsadm.services.recognition import SCHEDULERS

_TITLES = ("pro",)
_COMMANDS = ("ipvsadm", "cat", "watch", "date", "sudo", "exit", "logout")
_ERRORS = ("options", "multiple", "invalid", "illegal", "incompatible", "unexpected")
_FIRST_WORDS = "|".join((*_TITLES, *_COMMANDS, *_ERRORS))

_FOREIGN = re.compile(
    rf" *(?!(?:{_FIRST_WORDS})\b)"
    rf"(?![^ ]+ +[^ ]+ +(?:{'|'.join(sorted(SCHEDULERS))})(?: |$))"  # an odd service
    r"(?:[a-z]|[0-9]{1,8}(?: |$))[a-z0-9 ,.;'\"!?]*"
)


def is_foreign(raw: str) -> bool:
    """Whether a line has a meaning nowhere but in a row of hexadecimal counters.

    It has neither capital letters nor colons, arrows, brackets or signs of a prompt, which all
    entries, ends, titles, options and dates have. Of other such lines this returns False.
    """
    return bool(_FOREIGN.fullmatch(raw))
