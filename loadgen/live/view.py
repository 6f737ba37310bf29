"""What directors hold at present, as values: the table, the lines and the metrics show these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.director.counters import Counters


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Connections a second, over a time that ended so long ago, seconds."""

    per_s: float
    over_s: float
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainForecast:
    """When the last entry of a draining real server goes, if no packet comes.

    Attributes:
        first_ns: the earliest; Unix time, our clock.
        last_ns: the latest.
        renewed: entries and templates whose timers were restarted since the weight became 0.
        clients: of these, templates: their clients came back.
        last_renewal_ns: the poll that showed the last restart; None without one.
    """

    first_ns: int
    last_ns: int
    renewed: int
    clients: int = 0
    last_renewal_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEntries:
    """A real server's entries.

    Attributes:
        states: how many in each; persistence templates as TEMPLATE.
        oldest_ends_ns: when the timer ends that has least left, to a second; None without entries.
        ends_ns: of each state when the first timer ends and when the last.
    """

    states: Mapping[str, int]
    oldest_ends_ns: int | None
    ends_ns: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """One real server of one service.

    Attributes:
        service: protocol and VIP, or the firewall mark.
        counters: since it was added or zeroed; None where the director does not give them.
        arrivals: new connections a second; None likewise, and where nothing of late is known.
        held: None where entries are not read.
        forecast: None unless its weight is 0, and entries are there and read.
    """

    service: str
    protocol: str
    vip: str | None
    port: int | None
    fwmark: int | None
    scheduler: str
    real_server: str
    real_port: int
    forwarding: str
    weight: int
    active: int
    inactive: int
    counters: Counters | None
    arrivals: Arrivals | None
    held: HeldEntries | None
    forecast: DrainForecast | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorView:
    """One director.

    Attributes:
        up: it answered lately; else nothing below is of now.
        polled_ns: the last poll; Unix time, our clock; None before it.
        reads_entries: entries are read, not the counters alone.
        totals: over all its services since its IPVS was loaded; None where they are not read.
        entries_read_ns: when its entries were last read; None before.
    """

    name: str
    up: bool
    polled_ns: int | None
    reads_entries: bool
    servers: tuple[ServerView, ...]
    totals: Counters | None = None
    entries_read_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All directors, at one instant."""

    at_ns: int
    directors: tuple[DirectorView, ...]
