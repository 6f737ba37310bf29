"""A log beside a capture: what both show of the same entries, and the shift that follows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.evidence.captures import read_captures
from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.log_clock.counters import match_counters
from analyzer.log_clock.entries import match_entries
from analyzer.log_clock.model import Appeared, Track, unmatched
from analyzer.log_clock.place import EXACT_S, Placed, Stamps, place
from analyzer.recording.instants import seconds_since
from analyzer.recording.log_clock import LogClock
from analyzer.wire.segments import PROTOCOLS, VirtualEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt
    import pandas as pd

    from analyzer.evidence.captures import Captured, ReadOnce
    from analyzer.log_clock.model import ClockMatch
    from loadgen.importing.printed import Printed

    Floats = npt.NDArray[np.float64]
    Polls = Callable[[], Iterable["Poll"]]

EPOCH = Stamps(zone="UTC", utc_offset_s=0.0, dated=True, resolution_s=0.0)
"""Those of a log of JSON lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One poll of a log: its stamp in seconds, as read, and what it printed."""

    t: float
    printed: Printed


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A log's clock, and how a recording is made with it.

    Attributes:
        stamps: how they were read; None without a log.
        placed: where the log lies on the capture's clock; None without both, or where the
            operator said it.
    """

    stamps: Stamps | None = None
    placed: Placed | None = None

    @property
    def leaves_capture_out(self) -> bool:
        """Whether the capture cannot be analysed beside the log."""
        return self.placed is not None and not self.placed.joined

    @property
    def offset_s(self) -> float:
        """What is taken off a stamp to have the poll's instant on the recording's clock."""
        if self.stamps is None or self.placed is None or self.placed.shift_s is None:
            return 0.0
        rounded_s = self.stamps.resolution_s if self.stamps.resolution_s > EXACT_S else 0.0
        return self.placed.shift_s - rounded_s / 2

    @property
    def uncertainty_s(self) -> float:
        """Of a poll's instant."""
        return (self.placed.uncertainty_s if self.placed else None) or 0.0

    def manifest(self) -> dict[str, object] | None:
        """A ``LogClock``, as ``run.json`` has it."""
        if self.stamps is None:
            return None
        placed = self.placed
        return asdict(
            LogClock(
                zone=self.stamps.zone,
                utc_offset_s=self.stamps.utc_offset_s,
                dated=self.stamps.dated,
                resolution_s=self.stamps.resolution_s,
                joined=placed.joined if placed else None,
                confirmed=placed.confirmed if placed else False,
                shift_s=placed.shift_s if placed else None,
                uncertainty_s=placed.uncertainty_s if placed else None,
                why=placed.why if placed else "",
            )
        )


def placed_by_events(
    polls: Polls,
    span_t: tuple[float, float],
    stamps: Stamps,
    macs: frozenset[int],
    read: ReadOnce,
) -> Placed:
    """Where a log lies on the clock of a capture.

    Args:
        polls: reads those of the log, at least one, once more at each call.
        span_t: of the first and of the last poll.
        stamps: how they were read.
        macs: the director's, where somebody said them.
        read: the captures, at least one.
    """
    ends = _ends(polls())
    captured, _ = read_captures(read, ends, macs, asked_again=True)
    at_ns = read.packets().at_ns
    if captured is None or not len(at_ns):
        return place(unmatched("the capture has no packet"), stamps, overlap=True)
    first_s, last_s = seconds_since(np.array([at_ns.min(), at_ns.max()]), 0).tolist()
    covered_s = (float(first_s), float(last_s))
    overlap = span_t[0] <= covered_s[1] and span_t[1] + stamps.resolution_s >= covered_s[0]
    return place(_match(polls, captured, covered_s, stamps, ends), stamps, overlap=overlap)


def _match(
    polls: Polls,
    captured: Captured,
    covered_s: tuple[float, float],
    stamps: Stamps,
    ends: set[VirtualEnd],
) -> ClockMatch:
    births = _births(captured)
    appeared, counted = _counted(polls(), ends, births)
    by_ports = match_entries(appeared, stamps.resolution_s)
    if by_ports.clear:
        return by_ports
    tracks = [
        track for end in sorted(ends) if (track := _track(counted[end], end, births)) is not None
    ]
    return match_counters(tracks, covered_s, stamps.resolution_s)


def _ends(polls: Iterable[Poll]) -> set[VirtualEnd]:
    """The virtual services of a log; one by firewall mark has none that packets show."""
    ends: set[VirtualEnd] = set()
    for poll in polls:
        for service in poll.printed.services:
            if service.address is not None and service.port:
                ends.add(VirtualEnd(service.protocol, service.address, service.port))
        for protocol, address, port, _, _, _ in poll.printed.counters:
            if address is not None and port:
                ends.add(VirtualEnd(protocol, address, port))
        if poll.printed.table is not None:
            rows = poll.printed.table.entries
            ends |= {VirtualEnd(row.protocol, row.vip, row.port) for row in rows if row.port}
    return {end for end in ends if end.protocol in PROTOCOLS}


def _births(captured: Captured) -> pd.DataFrame:
    """Connections that began in the capture: ``first_ns``, and their flows' ends."""
    rows = captured.connections.merge(captured.segments.flows, left_on="flow", right_index=True)
    return rows[(rows["syns"] > 0) | (rows["protocol"] == "UDP")]


@dataclass(frozen=True, slots=True)
class Counted:
    """What one poll counted of a service; None where it was not printed.

    Attributes:
        t: of the poll.
        entries: ActiveConn and InActConn together.
        conns: Conns of ``--stats``.
    """

    t: float
    entries: int | None
    conns: int | None


def _counted(
    polls: Iterable[Poll], ends: set[VirtualEnd], births: pd.DataFrame
) -> tuple[Appeared, Mapping[VirtualEnd, list[Counted]]]:
    """What a log says of its services, and which entries of flows that began once appeared."""
    appearing = _Appearing.of(births)
    rows: dict[VirtualEnd, list[Counted]] = {end: [] for end in ends}
    for poll in polls:
        appearing.add(poll)
        entries, conns = _entries(poll.printed), _conns(poll.printed)
        for end in (entries.keys() | conns.keys()) & ends:
            rows[end].append(Counted(poll.t, entries.get(end), conns.get(end)))
    return appearing.result(), rows


def _entries(printed: Printed) -> dict[VirtualEnd, int]:
    found: dict[VirtualEnd, int] = {}
    for service in printed.services:
        if service.address is not None and service.destinations:
            end = VirtualEnd(service.protocol, service.address, service.port or 0)
            held = sum(server.active + server.inactive for server in service.destinations)
            found[end] = found.get(end, 0) + held
    return found


def _conns(printed: Printed) -> dict[VirtualEnd, int]:
    found: dict[VirtualEnd, int] = {}
    for (protocol, address, port, *_), counters in printed.counters.items():
        if address is not None:
            end = VirtualEnd(protocol, address, port or 0)
            found[end] = found.get(end, 0) + counters.conns
    return found


def _track(counted: list[Counted], end: VirtualEnd, births: pd.DataFrame) -> Track | None:
    births_of_end = births[
        (births["protocol"] == end.protocol)
        & (births["vip"] == end.vip)
        & (births["port"] == end.port)
    ]
    rows = sorted(counted, key=lambda row: row.t)
    if len(rows) < 2 or births_of_end.empty:
        return None
    conns = [row.conns for row in rows]
    entries = [row.entries for row in rows]
    has_came, has_held = None not in conns, None not in entries
    if not has_came and not has_held:
        return None
    return Track(
        polled_s=np.array([row.t for row in rows]),
        held=np.array(entries if has_held else conns, dtype=np.int64),
        came=np.array(conns, dtype=np.int64) if has_came else None,
        began_s=seconds_since(births_of_end["first_ns"].sort_values(), 0),
    )


@dataclass(slots=True)
class _Appearing:
    """Finds entries that appeared between two polls, of flows that began once."""

    packets: Mapping[tuple[object, ...], float]
    seen: set[tuple[object, ...]] = field(default_factory=set)
    before_s: float = -np.inf
    bounds: list[tuple[float, float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, births: pd.DataFrame) -> _Appearing:
        once = births[~births.duplicated("flow", keep=False)]
        keys = once[list(CONNECTION_KEY)].itertuples(index=False, name=None)
        return cls(dict(zip(keys, seconds_since(once["first_ns"], 0).tolist(), strict=True)))

    def add(self, poll: Poll) -> None:
        if poll.printed.table is None:
            return
        for row in poll.printed.table.entries:
            key = (row.protocol, row.client_ip, row.client_port, row.vip, row.port)
            if key in self.packets and key not in self.seen:
                self.seen.add(key)
                self.bounds.append((self.before_s, poll.t, self.packets[key]))
        self.before_s = poll.t

    def result(self) -> Appeared:
        made: Floats = np.array(self.bounds, dtype=np.float64).reshape(-1, 3)
        return Appeared(after_s=made[:, 0], by_s=made[:, 1], packet_s=made[:, 2])
