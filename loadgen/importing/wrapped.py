"""Lines of ``ipvsadm -Lc`` that a terminal has broken at its width, put together again."""

from __future__ import annotations

import re

_MOST_PARTS = 5  # of one line; at 30 columns a line of IPv4 has three
_MOST_CHARACTERS = 400
_BEGINS = re.compile(r"\s*(?:TCP|UDP|SCTP|IP|AH|ESP)\s+\d{1,6}:\d\d\s")
_WHOLE = re.compile(
    r"\s*[A-Z]{2,4}\s+\d{1,6}:\d\d\s+[A-Z_\d]{1,16}(?:\s+(?:\[[\w.:%-]{1,80}\]|[\w.-]{1,80}):[\w-]{1,40}){3}\s*$"
)

_REST_OF_A_PORT = re.compile(r"\d{1,4}\s*$")  # no stamp of a poll is so short


def unwrapped(text: str) -> str:
    """A text with such lines whole; all others as they are.

    A line broken within a word goes on with the rest of it; one broken between two words has lost
    the blank, or begins the next line with it. What makes a whole line of an entry is taken.
    """
    lines = text.split("\n")
    joined: list[str] = []
    at = 0
    while at < len(lines):
        if _is_unbroken(lines, at):
            joined.append(lines[at])
            at += 1
            continue
        whole, parts = _put_together(lines[at : at + _MOST_PARTS])
        joined.append(whole)
        at += parts
    return "\n".join(joined)


def _is_unbroken(lines: list[str], at: int) -> bool:
    """Whether a line is a whole entry and the next cannot go on with it, as almost all are."""
    if not _WHOLE.match(lines[at][: _MOST_CHARACTERS + 1].rstrip("\r")):
        return False
    return at + 1 == len(lines) or not _REST_OF_A_PORT.match(lines[at + 1])


def _put_together(lines: list[str]) -> tuple[str, int]:
    """The first line, whole, and of how many it was made."""
    first = lines[0].rstrip("\r")
    if not _BEGINS.match(first) or len(first) > _MOST_CHARACTERS:
        return lines[0], 1
    ways = [first]
    for number, line in enumerate([*lines[1:], ""], 1):
        whole = next((way for way in ways if _WHOLE.match(way)), None)
        if whole is not None and _REST_OF_A_PORT.match(line):
            return whole + line.strip(), number + 1
        if whole is not None:
            return (whole, number) if number > 1 else (lines[0], 1)
        if not line.strip() or len(line) > _MOST_CHARACTERS or _BEGINS.match(line):
            break
        ways = [way + joint + line.rstrip("\r") for way in ways for joint in (" ", "")]
    return lines[0], 1
