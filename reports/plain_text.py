"""Texts of unknown origin on a terminal or in a log: shown, never obeyed.

A director's words, a server's, a file's name may hold what a terminal or a pipeline takes for an
order: escape sequences (C0 and C1 controls, ECMA-48), marks that turn the direction of writing
(Unicode TR9), line ends that forge a line, workflow commands (``::name::``, ``##[name]``).
"""

from __future__ import annotations

import re
import unicodedata

_COMMAND = re.compile(r"\A\s*::|##(?=\w*\[)")
"""What GitHub, Azure and TeamCity take for a command; the first after blanks at a line's start."""


def printable(text: str) -> str:
    r"""One line: each character that is not printable as its escape, such as ``\x1b``, ``\n``."""
    return text if text.isprintable() else "".join(map(_shown, text))


def log_line(text: str) -> str:
    """One printable line that no pipeline takes for a command."""
    shown = printable(text)
    return _COMMAND.sub(_disarmed, shown) if "::" in shown or "##" in shown else shown


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "  # such as U+00A0, which does no more than a blank
    return character.encode("unicode_escape").decode("ascii")


def _disarmed(command: re.Match[str]) -> str:
    text = command[0]
    return f"{text[:-2]}\\x3a:" if text.endswith(":") else "#\\x23"
