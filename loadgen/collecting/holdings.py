"""A director's entries by real server and state, and what draining real servers wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.drain import Held, Timers, goes_s
from analyzer.drains import TEMPLATE
from analyzer.ipvs.changes import BUSY_STATES, RESTART_S
from analyzer.ipvs.entry_rows import entries_of, entry_columns, is_address
from analyzer.ipvs.states import Timeouts
from loadgen.collecting.view import Forecast, HeldEntries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analyzer.clock import DirectorClock
    from analyzer.ipvs.entry_rows import Rows
    from analyzer.ipvs.formats import Destination, Service
    from analyzer.ipvs.tracking import Numbers
    from analyzer.recording import RecordingWriter
    from loadgen.director.facts import DirectorFacts

    Mask = NDArray[np.bool_]

_NS = 1_000_000_000
_LONGEST_S = 1_000_000_000  # of what a director prints; an instant so far ahead fits int64
_GROUPED = ("real_server_high", "real_server_low", "real_port", "vip_high", "vip_low", "port")
_KEY = ("protocol", "client_ip_high", "client_ip_low", "client_port", "vip_high", "vip_low", "port")
_MIX = 0x9E3779B97F4A7C15
"""2^64 by the golden ratio: what Fibonacci hashing multiplies by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Entries that have their real server, their service and their state in common."""

    vip: str
    port: int
    real_server: str
    real_port: int
    state: str
    n: int
    oldest_ends_ns: int
    newest_ends_ns: int


def groups(rows: Rows, seen_ns: Numbers) -> tuple[Group, ...]:
    """A table of any size as its few groups."""
    if not len(rows):
        return ()
    ends_ns = seen_ns + rows["expires_s"] * _NS
    _, first, group, counts = np.unique(
        _mixed(rows), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(counts) - counts
    oldest_ns = np.minimum.reduceat(ends_ns[order], starts)
    newest_ns = np.maximum.reduceat(ends_ns[order], starts)
    return tuple(
        Group(
            vip=entry.vip,
            port=entry.port,
            real_server=entry.real_server,
            real_port=entry.real_port,
            state=entry.state if entry.client_port else TEMPLATE,
            n=int(n),
            oldest_ends_ns=int(oldest),
            newest_ends_ns=int(newest),
        )
        for entry, n, oldest, newest in zip(
            entries_of(rows[first]), counts, oldest_ns, newest_ns, strict=True
        )
    )


def _mixed(rows: Rows) -> NDArray[np.uint64]:
    """A number for each row that is the same within a group."""
    state = np.ascontiguousarray(rows["state"])
    words = [state.view("u8").reshape(len(rows), -1)[:, i] for i in range(state.itemsize // 8)]
    words += [rows[name].astype(np.uint64) for name in _GROUPED]
    words.append((rows["client_port"] == 0).astype(np.uint64))
    mixed = np.zeros(len(rows), np.uint64)
    for word in words:
        mixed = (mixed ^ word) * np.uint64(_MIX)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def held_by(found: tuple[Group, ...], service: Service, server: Destination) -> HeldEntries:
    """What a real server of a service holds; an entry shows no firewall mark."""
    states: dict[str, int] = {}
    ends_ns: dict[str, tuple[int, int]] = {}
    for group in found:
        if not _is_its(group, service, server):
            continue
        states[group.state] = states.get(group.state, 0) + group.n
        if group.state != TEMPLATE:
            ends = (group.oldest_ends_ns, group.newest_ends_ns)
            oldest, newest = ends_ns.get(group.state, ends)
            ends_ns[group.state] = (min(oldest, ends[0]), max(newest, ends[1]))
    return HeldEntries(
        states=states,
        oldest_ends_ns=min((oldest for oldest, _ in ends_ns.values()), default=None),
        ends_ns=ends_ns,
    )


def _is_its(group: Group, service: Service, server: Destination) -> bool:
    if group.real_server != server.address or (server.port and group.real_port != server.port):
        return False
    return service.address is None or (group.vip, group.port) == (service.address, service.port)


def rows_of_server(rows: Rows, service: Service, server: Destination) -> Mask:
    """Which rows are a real server's."""
    mine = is_address(rows, "real_server", server.address)
    if server.port:
        mine &= rows["real_port"] == server.port
    if service.address is not None:
        mine &= is_address(rows, "vip", service.address) & (rows["port"] == service.port)
    return mine


class Draining:
    """One director's real servers of weight 0: their timers, and the traffic that renews them.

    A restart of a busy entry's timer is no change that is recorded, but of these few it is: the
    recording can then tell when they go.
    """

    def __init__(self, director: str, facts: DirectorFacts, recording: RecordingWriter) -> None:
        self._director = director
        self._facts = facts
        self._recording = recording
        self._ends_ns: dict[tuple[object, ...], int] = {}
        self._renewed: set[tuple[object, ...]] = set()

    def forecast(
        self,
        rows: Rows,
        seen_ns: Numbers,
        clock: DirectorClock,
    ) -> Forecast | None:
        """When the last of a draining real server's entries goes; None if it has none."""
        if not len(rows):
            return None
        first_s, last_s = goes_s(self._held(rows, seen_ns, clock), self._timers(clock))
        renewed = sum(key in self._renewed for key in _keys(rows))
        first_ns, last_ns = (int(clock.client_ns(edge).max()) for edge in (first_s, last_s))
        return Forecast(first_ns=first_ns, last_ns=last_ns, renewed=renewed)

    def note(self, rows: Rows, seen_ns: Numbers) -> None:
        """Look at all draining real servers' entries at once: which were renewed, which went."""
        busy = np.isin(rows["state"], [state.encode() for state in BUSY_STATES])
        rows, seen_ns = rows[busy], seen_ns[busy]
        ends_ns = seen_ns + np.minimum(rows["expires_s"], _LONGEST_S) * _NS
        keys = list(_keys(rows))
        known = [self._ends_ns.get(key) for key in keys]
        restarted = np.array(
            [
                old is not None and end - old > RESTART_S * _NS
                for end, old in zip(ends_ns.tolist(), known, strict=True)
            ],
            dtype=bool,
        )
        self._ends_ns = {
            key: end if old is None or again else old
            for key, end, old, again in zip(keys, ends_ns.tolist(), known, restarted, strict=True)
        }
        self._renewed &= self._ends_ns.keys()
        self._renewed |= {keys[i] for i in np.flatnonzero(restarted)}
        self._record(rows[restarted], seen_ns[restarted])

    def _record(self, rows: Rows, seen_ns: Numbers) -> None:
        if len(rows):
            columns = {"at": seen_ns, "director": self._director, "change": "state"}
            self._recording.extend_columns("entries", columns | entry_columns(rows))

    def _held(self, rows: Rows, seen_ns: Numbers, clock: DirectorClock) -> Held:
        n = len(rows)
        return Held(
            state=np.array([name.decode() for name in rows["state"].tolist()], dtype=object),
            client=rows["client_ip_low"].astype(object),
            seen_s=clock.uptime_s(seen_ns),
            expires_s=rows["expires_s"].astype(np.float64),
            before_s=np.full(n, -np.inf),
            is_template=rows["client_port"] == 0,
            renewed=np.zeros(n, dtype=bool),
        )

    def _timers(self, clock: DirectorClock) -> Timers:
        phase = self._facts.timer_phase
        return Timers(
            timeouts=self._facts.timeouts or Timeouts(),
            hz=phase.hz if phase else None,
            phase_s=phase.phase_s if phase else None,
            doubt_s=clock.uncertainty_s + (phase.uncertainty_s if phase else 0.0),
        )


def _keys(rows: Rows) -> Iterator[tuple[object, ...]]:
    return zip(*(rows[name].tolist() for name in _KEY), strict=True)
