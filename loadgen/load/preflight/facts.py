"""What a preflight looks at: this machine, the directors' tables; and a line of what it says."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """This machine, or the namespace that the burst is sent from; None for what has no file here.

    Attributes:
        ports: source ports of one address, by ``ip_local_port_range``.
        tw_reuse: ``tcp_tw_reuse``: 0 never, 1 always, 2 on loopback.
        files: descriptors that a process may open.
        conntrack: entries tracked now, and at most.
    """

    ports: int
    tw_reuse: int | None
    files: int
    somaxconn: int | None
    conntrack: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorTable:
    """A director's connection table.

    Attributes:
        lifetime_s: of an entry of this burst, at the longest.
        resizes: it grows and shrinks by itself.
        most: entries that it may hold, ``conn_max``; None where there is no such limit.
    """

    director: str
    buckets: int | None
    lifetime_s: float
    resizes: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightLine:
    """One line of the preflight's table.

    Attributes:
        doubt: what stands against the burst here; None if nothing does.
    """

    what: str
    here: str
    doubt: str | None = None


def read_host() -> HostLimits:
    """The facts of the machine and of the network namespace that we stand in."""
    first, last = (_read("net/ipv4/ip_local_port_range") or "32768 60999").split()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    tracked, most = (
        _number("net/netfilter/nf_conntrack_count"),
        _number("net/netfilter/nf_conntrack_max"),
    )
    return HostLimits(
        ports=int(last) - int(first) + 1,
        tw_reuse=_number("net/ipv4/tcp_tw_reuse"),
        files=files,
        somaxconn=_number("net/core/somaxconn"),
        conntrack=None if tracked is None or most is None else (tracked, most),
    )


def _read(name: str) -> str | None:
    with suppress(OSError):
        return (Path("/proc/sys") / name).read_text()
    return None


def _number(name: str) -> int | None:
    text = _read(name)
    return None if text is None else int(text)
