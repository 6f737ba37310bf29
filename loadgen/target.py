"""The virtual service that a run is about, as an address; and how an operator writes one."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST_PORT = re.compile(
    r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The virtual service that a run is about.

    Attributes:
        vip: its address; names have been resolved, once, before there is a plan.
    """

    vip: str
    port: int
    protocol: str = "TCP"


def split_host_port(text: str) -> tuple[str, int | None]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[ADDRESS]`` or ``[ADDRESS]:PORT``.

    An IPv6 address without brackets has no port: all of ``fd00::80`` is the host.

    Raises:
        ValueError: none of these, or a port that is not from 1 to 65535.
    """
    if text.count(":") > 1 and not text.startswith("["):
        return text, None
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    port = None if match["port"] is None else int(match["port"])
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(text)
    return match["bracketed"] or match["name"], port
