"""Connection trace: packets, entry states, and which hosts keep state of it how long.

Times are seconds since the run's start, on the client's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

End = Literal["client", "director", "server"]
Basis = Literal["seen", "predicted", "inferred"]

TIME_WAIT_S = 60.0
"""How long a Linux socket stays in TIME_WAIT (``TCP_TIMEWAIT_LEN``, include/net/tcp.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One hop of a packet: ``seen`` where the capture has it, else inferred from what it has."""

    source: End
    target: End
    seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet of the connection.

    Attributes:
        flag: the name of its ``Flag``: what counts for the director.
        to_vip: from the client; else a reply.
        again: a SYN or FIN that was sent before.
        data_bytes: of a TCP segment, by the sequence number of the next one from its side; None
            where none follows it in the capture.
        left_out: how many packets before this one are left out.
        dead_end: why the director did not send it on; None where it did, or where it is not known.
    """

    t_s: float
    flag: str
    to_vip: bool
    legs: tuple[Leg, ...]
    again: bool = False
    data_bytes: int | None = None
    left_out: int = 0
    dead_end: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The entry in one state, from one instant to another; the last one ends with the entry.

    ``until_s`` None: it was still there at the last poll.
    """

    state: str
    from_s: float
    until_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """State of the connection that a host kept after its last packet.

    Attributes:
        holder: who keeps it: a socket of the client or server, or a director's entry.
        name: of that director; None of a socket.
        state: what it is called there.
        until_s: when it is dropped; None if that was not seen.
        margin_s: how much earlier or later that may have been.
        why: what sets the length, such as ``tcpfin 120 s``.
    """

    holder: End
    state: str
    from_s: float
    until_s: float | None
    margin_s: float
    basis: Basis
    why: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTrace:
    """One connection.

    Attributes:
        reasons: keys of ``choose.REASONS``, the first is what it is offered for.
        real_server: None where neither polls nor packets show it.
        directors: those that had an entry for it, the last one last: more than one where the
            virtual IP moved meanwhile; empty where it is not known.
        last_s: its last packet.
        closer: as in ``wire.connections``.
        predicted, observed: the entry's states on the last director; empty where not known.
        connect_ms: of the first request that it served; None without one.
        total_ms, error: of the slowest request that it served, and of the first that failed.
    """

    reasons: tuple[str, ...]
    client: str
    vip: str
    real_server: str | None
    directors: tuple[str, ...]
    first_s: float
    last_s: float
    closer: str
    packets: tuple[Packet, ...]
    packets_in_all: int
    predicted: tuple[Span, ...]
    observed: tuple[Span, ...]
    retentions: tuple[Retention, ...]
    connect_ms: float | None
    total_ms: float | None
    error: str | None
