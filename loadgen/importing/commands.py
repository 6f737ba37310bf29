"""What was done to a director while others recorded it: its commands, as events."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from loadgen.director.settings import TIMEOUTS_CHANGED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SYSCTL = re.compile(r"net[./]ipv4[./]vs[./](\w+)\s*=\s*(\S+)")


def events_of(
    meta: Mapping[str, Any], host: str, at_ns: Callable[[float], int]
) -> list[dict[str, Any]]:
    """One row of ``events/`` for each of ``meta``'s commands.

    Args:
        meta: with ``commands``: ``t`` on the capture's clock, ``cmd``, and, where known,
            ``director_t_start`` and ``director_t_end`` on the director's.
        host: the director's name.
        at_ns: the director's clock to the recording's.

    Raises:
        KeyError: a command without its time or text.
        ValueError: a time that is no number.
    """
    return [
        {"host": host, "kind": kind, "detail": detail} | _instants(command, kind, at_ns)
        for command in meta.get("commands") or []
        for kind, detail in [classify(str(command["cmd"]))]
    ]


def _instants(
    command: Mapping[str, Any], kind: str, at_ns: Callable[[float], int]
) -> dict[str, int | None]:
    """When it happened: in the middle of the command, and not before it began.

    Timeouts hold at the end of theirs; which packets in between found the new ones is not known.
    """
    begin, end = command.get("director_t_start"), command.get("director_t_end")
    if begin is None or end is None:
        return {"at": round(float(command["t"]) * 1e6) * 1000, "since": None}
    begin_ns, end_ns = at_ns(float(begin)), at_ns(float(end))
    if kind == TIMEOUTS_CHANGED:
        return {"at": end_ns, "since": begin_ns}
    return {"at": (begin_ns + end_ns) // 2, "since": None}


def classify(command: str) -> tuple[str, str]:
    """An event's kind and detail, from a command line of ipvsadm or sysctl."""
    sysctl = _SYSCTL.search(command)
    if sysctl:
        return "sysctl-changed", f"{sysctl[1]} {sysctl[2]}"
    try:
        words = shlex.split(command)
    except ValueError:
        return "command", command
    if "ipvsadm" not in words:
        return "command", command
    words = words[words.index("ipvsadm") + 1 :]
    return _ipvsadm(words) or ("command", command)


def _ipvsadm(words: list[str]) -> tuple[str, str] | None:
    verb = words[0] if words else ""
    if verb == "--set" and len(words) >= 4:
        return TIMEOUTS_CHANGED, " ".join(words[1:4])
    server = _after(words, "-r", "--real-server")
    kinds = {
        "-d": "server-removed",
        "--delete-server": "server-removed",
        "-a": "server-added",
        "--add-server": "server-added",
        "-e": "server-edited",
        "--edit-server": "server-edited",
    }
    if verb in kinds and server:
        weight = _after(words, "-w", "--weight")
        edited = f"{server} weight {weight}" if kinds[verb] == "server-edited" else server
        return kinds[verb], edited
    return ("services-cleared", "") if verb in ("-C", "--clear") else None


def _after(words: list[str], *flags: str) -> str | None:
    for flag, value in pairwise(words):
        if flag in flags:
            return value
    return None
