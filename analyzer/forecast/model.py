"""The model: how full a director's table gets under a steady load.

Theory of operation. A load opens ``rate`` connections a second from t = 0 to its end. What each
entry goes through follows from how its connection closes and from what the director sees of it;
here the packets of each closing kind are run through the kernel's own tables (``ipvs/states.py``):

====================  =======================================  ===========================
closing kind          dr, tun: replies bypass the director     nat, local: both sides seen
====================  =======================================  ===========================
client, server first  ESTABLISHED while open, FIN_WAIT tcpfin  TIME_WAIT 120 s at the end
half: a FIN, no more  the same                                 the same, if the server closes too
reset by the client   ESTABLISHED while open, CLOSE 10 s       the same
half-open: a SYN      SYN_RECV 60 s, active                    SYN_RECV 31 s + 60 s
reset-syn             SYN_RECV 60 s, active                    the same
never, abandon        ESTABLISHED tcp, active                  the same
fin-no-ack            as client                                TIME_WAIT 54.7 s + 120 s
====================  =======================================  ===========================

The 31 s are the server's SYN-ACKs, sent again after 1, 3, 7, 15 and 31 s: in nat each passes the
director and starts the 60 s anew (31.5 s measured). The 54.7 s are its FINs, sent again eight times
after a wait that doubles (net/ipv4/tcp_timer.c): 51 s from 0.2 s on, but each wait is 0.2 s and the
round trip, and late by the server's own timer wheel (54.6 and 54.8 s measured). ``never`` keeps its
socket open and silent; ``abandon`` is a client that vanished (a nat server that gives up and closes
by itself would move the entry to FIN_WAIT: not modelled). An entry whose connection stays open and
silent for longer than ``tcp`` expires before the close. Round trips and answers are taken to last
no time. A server is taken to close as soon as its client has, as HTTP servers do; in nat one that
keeps its side open leaves the entry of a half-closed connection in CLOSE_WAIT, 60 s.

A timer fires at the first multiple of its granule g strictly after last packet + timeout T. So
with A(t) connections opened until t, and s from the first packet to the last, there are alive

    A(t - s) - A(floor(t / g) g - T - s)        in the last state, and A(t) - A(t - s) before it:

stairs. In steady state the last state holds between r T (a granule's timers just fired) and
r (T + g) (just before they do), r (T + g / 2) on average. Granules are powers of 8 jiffies and
share their origin, so a mixture's stairs reach top and bottom together. Where arrivals are random,
the number alive varies besides by its square root (it is a Poisson number).

The load begins on a step of the wheel here; which instant that is on a real director depends on
its timers' phase, so a real curve's stairs stand up to one granule further right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.forecast.closings import CLOSINGS
from analyzer.forecast.lifetimes import (
    CLIENT_TIME_WAIT_S,
    CONN_TAB_BITS,
    EntryLifetime,
    Question,
    entry_lifetimes,
)
from analyzer.forecast.occupancy import Counts, OccupancySeries, TableOccupancy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Floats

ENTRY_BYTES, ENTRY_SLAB_BYTES, BUCKET_BYTES = 320, 341, 8
CACHE_LINE_BYTES, PAGE_BYTES = 64, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A number of entries in steady state.

    Attributes:
        mean: over time.
        min: when a granule's timers have just fired.
        max: just before they do.
        sigma: what random arrivals add to either side, one standard deviation; 0 for uniform.
    """

    mean: float
    min: float
    max: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBudget:
    """The connection rate to one VIP and port at which source ports return too soon.

    Attributes:
        lifetime_s: of an entry, from its first packet, at the longest.
        client_held_s: for how long a connection keeps its source port from the client, on average.
        returns_after_s: when a port is used again, at this rate, ports taken in turn.
        entry_limit_per_s: above it ports return while their entry is still there.
        client_limit_per_s: above it clients have no port left; None if they hold none.
        binds: which limit is met first as the rate grows.
        exceeded: whether the rate is above that limit.
        sources_needed: addresses with which it would not be.
    """

    rate_per_s: float
    sources: int
    ports: int
    lifetime_s: float
    client_held_s: float
    returns_after_s: float
    entry_limit_per_s: float
    client_limit_per_s: float | None
    binds: Literal["entries", "clients"]
    exceeded: bool
    sources_needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMemory:
    """The memory that entries take on the director.

    Attributes:
        entry_bytes: 320 for each, as the kernel lays the structure out; or what it says itself.
        slab_bytes: 341 for each, as measured in the slab; or what that many take there.
        buckets: 2 ** conn_tab_bits, fixed when the module is loaded.
        chain_length: entries for each bucket; each packet walks half a chain or a whole one.
        enough_bits: the conn_tab_bits with which chains would be no longer than 1.
    """

    entries: int
    entry_bytes: int
    slab_bytes: int
    buckets: int
    bucket_bytes: int
    chain_length: float
    enough_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The model's answer.

    Attributes:
        duration_s: of the load, given or chosen.
        steady: the steady state, reached if the load lasts ``steady_after_s``.
        peak: the most entries at once under this load.
        empty_after_s: when the last entry expires, from the begin of the load.
        memory: at the peak of the total.
    """

    question: Question
    lifetimes: tuple[EntryLifetime, ...]
    duration_s: float
    steady: Counts[Band]
    steady_after_s: float
    peak: Counts[float]
    empty_after_s: float
    series: OccupancySeries
    ports: PortBudget
    memory: TableMemory

    @property
    def reaches_steady(self) -> bool:
        """Whether the load lasts long enough."""
        return self.duration_s >= self.steady_after_s


def forecast(question: Question) -> Forecast:
    """Predict how full the table gets."""
    lifetimes = tuple(entry_lifetimes(question))
    steady_after_s = max(lifetime.lifetime_s.max for lifetime in lifetimes)
    widest_s = max(
        max(lifetime.opened.granule_s, lifetime.last.granule_s) for lifetime in lifetimes
    )
    lasting_s = math.ceil(steady_after_s + max(0.25 * steady_after_s, 2 * widest_s))
    duration_s = question.duration_s or lasting_s
    table = TableOccupancy(lifetimes, question, duration_s)
    peak = table.peak()
    return Forecast(
        question=question,
        lifetimes=lifetimes,
        duration_s=duration_s,
        steady=_steady(lifetimes, question, steady_after_s),
        steady_after_s=steady_after_s,
        peak=peak,
        empty_after_s=table.empty_after_s,
        series=table.series(),
        ports=_ports(lifetimes, question, duration_s),
        memory=table_memory(math.ceil(peak.total - 1e-6), question.conn_tab_bits),
    )


def _steady(lifetimes: Sequence[EntryLifetime], question: Question, after_s: float) -> Counts[Band]:
    table = TableOccupancy(lifetimes, question, math.inf)
    at, active, inactive = table.period(after_s * question.hz)

    def band(values: Floats) -> Band:
        most = float(values.max())
        return Band(
            mean=float(np.trapezoid(values, at) / np.ptp(at)),
            min=float(values.min()),
            max=most,
            sigma=math.sqrt(most) if question.arrivals == "poisson" else 0.0,
        )

    return Counts(active=band(active), inactive=band(inactive), total=band(active + inactive))


# -- ports and memory ----------------------------------------------------------------------------


def port_budget(
    rate_per_s: float,
    sources: int,
    ports: int,
    lifetime_s: float,
    *,
    client_held_s: float = CLIENT_TIME_WAIT_S,
) -> PortBudget:
    """The port budget of a rate.

    Args:
        rate_per_s: connections opened a second, to one VIP and port.
        sources: client addresses.
        ports: source ports of each, taken in turn.
        lifetime_s: of an entry at the longest, from its first packet: with its granule.
        client_held_s: for how long the client itself keeps a port; its own TIME_WAIT of 60 s
            where it closes first, 0 where it keeps none.
    """
    pairs = sources * ports
    entry_limit = pairs / lifetime_s
    client_limit = pairs / client_held_s if client_held_s > 0 else None
    clients_bind = client_limit is not None and client_limit <= entry_limit
    longest_s = max(lifetime_s, client_held_s)
    return PortBudget(
        rate_per_s=rate_per_s,
        sources=sources,
        ports=ports,
        lifetime_s=lifetime_s,
        client_held_s=client_held_s,
        returns_after_s=pairs / rate_per_s,
        entry_limit_per_s=entry_limit,
        client_limit_per_s=client_limit,
        binds="clients" if clients_bind else "entries",
        exceeded=rate_per_s > pairs / longest_s,
        sources_needed=math.ceil(rate_per_s * longest_s / ports),
    )


def _ports(lifetimes: Sequence[EntryLifetime], question: Question, duration_s: float) -> PortBudget:
    return port_budget(
        question.rate_per_s,
        question.sources,
        question.ports,
        max(lifetime.lifetime_s.max for lifetime in lifetimes),
        client_held_s=sum(
            lifetime.share * _held_s(lifetime, question, duration_s) for lifetime in lifetimes
        ),
    )


def _held_s(lifetime: EntryLifetime, question: Question, duration_s: float) -> float:
    """How long a client keeps a connection's source port, at most to the load's end."""
    port = CLOSINGS[lifetime.close].port if lifetime.close else "own"
    held_s = {
        "kept": duration_s,
        "time-wait": question.hold_s + question.client_time_wait_s,
        "freed": question.hold_s,
        "own": 0.0,
    }
    return held_s[port]


def slab_bytes(entry_bytes: int) -> float:
    """The size of an entry in the kernel's slab: whole cache lines, as many as fit in a page.

    Args:
        entry_bytes: what it needs at least, as the kernel says when it loads IPVS (280 on Linux
            6.1, 288 on 7.2; 341 in the slab of either, as measured).
    """
    aligned = -(-entry_bytes // CACHE_LINE_BYTES) * CACHE_LINE_BYTES
    return PAGE_BYTES / max(PAGE_BYTES // aligned, 1)


def table_memory(
    entries: int, conn_tab_bits: int = CONN_TAB_BITS, entry_bytes: int | None = None
) -> TableMemory:
    """The memory of entries, and the length of the hash table's chains.

    Args:
        entries: how many.
        conn_tab_bits: of the table's size.
        entry_bytes: of one, as the kernel says; None where that is not known.
    """
    buckets = 2**conn_tab_bits
    in_slab = ENTRY_SLAB_BYTES if entry_bytes is None else slab_bytes(entry_bytes)
    return TableMemory(
        entries=entries,
        entry_bytes=entries * (entry_bytes or ENTRY_BYTES),
        slab_bytes=round(entries * in_slab),
        buckets=buckets,
        bucket_bytes=buckets * BUCKET_BYTES,
        chain_length=entries / buckets,
        enough_bits=min(max(math.ceil(math.log2(max(entries, 1))), 8), 27),
    )
