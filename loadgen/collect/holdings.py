"""A director's entries by real server and state, and what draining real servers wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.drains.drains import TEMPLATE
from analyzer.drains.last_entry import EntryTimers, Timers, removal_s
from analyzer.drains.renewals import surely_renewed
from analyzer.ipvs.proc.entry_rows import entries_of, entry_columns, is_address
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_diff.restarts import BUSY_STATES, RESTART_S
from analyzer.units import NS_PER_S
from loadgen.collect.timers_seen import TimersSeen, mixed
from loadgen.live.view import DrainForecast, HeldEntries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Destination, Service
    from analyzer.ipvs.table_diff.tracking import Numbers
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.directory import RecordingWriter
    from loadgen.collect.timers_seen import TimerEnds
    from loadgen.director.boot_facts import BootFacts

    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Key = tuple[object, ...]

_NEVER = np.iinfo(np.int64).min
_LONGEST_S = 1_000_000_000  # of what a director prints; an instant so far ahead fits int64
_GROUPED = ("real_server_high", "real_server_low", "real_port", "vip_high", "vip_low", "port")
_KEY = ("protocol", "client_ip_high", "client_ip_low", "client_port", "vip_high", "vip_low", "port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Entries that have their real server, their service and their state in common."""

    protocol: str
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
    ends_ns = seen_ns + rows["expires_s"] * NS_PER_S
    _, first, group, counts = np.unique(
        mixed(rows, _GROUPED, with_state=True) + (rows["client_port"] == 0),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(counts) - counts
    oldest_ns = np.minimum.reduceat(ends_ns[order], starts)
    newest_ns = np.maximum.reduceat(ends_ns[order], starts)
    return tuple(
        Group(
            protocol=entry.protocol,
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


class GroupsByServer:
    """Groups by what a real server of a service is looked up by."""

    def __init__(self, table_groups: Iterable[Group] = ()) -> None:
        self._groups: dict[tuple[object, ...], list[Group]] = {}
        for group in table_groups:
            server = (group.real_server,)
            for key in (server, (*server, group.vip), (*server, group.vip, group.port)):
                self._groups.setdefault(key, []).append(group)

    def candidates(self, service: Service, server: Destination) -> Iterable[Group]:
        """Those that may be a real server's; an entry shows no firewall mark."""
        if service.address is None:
            return self._groups.get((server.address,), ())
        key = (server.address, service.address)
        if not service.port:
            return self._groups.get(key, ())
        return [group for port in (service.port, 0) for group in self._groups.get((*key, port), ())]


def held_by(table_groups: Iterable[Group], service: Service, server: Destination) -> HeldEntries:
    """What a real server of a service holds; an entry shows no firewall mark."""
    states: dict[str, int] = {}
    ends_ns: dict[str, tuple[int, int]] = {}
    for group in table_groups:
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
    if service.address is None:
        return True
    is_port = not service.port or group.port in (service.port, 0)  # port 0 is any port
    return group.vip == service.address and group.protocol == service.protocol and is_port


def rows_of_server(rows: Rows, service: Service, server: Destination) -> Mask:
    """Which rows are a real server's."""
    mask = is_address(rows, "real_server", server.address)
    if server.port:
        mask &= rows["real_port"] == server.port
    if service.address is not None:
        mask &= is_address(rows, "vip", service.address)
        mask &= rows["protocol"] == service.protocol.encode()
    if service.address is not None and service.port:  # port 0 is any port
        mask &= (rows["port"] == service.port) | (rows["port"] == 0)
    return mask


class Draining:
    """One director's real servers of weight 0: their timers, and the traffic that renews them.

    A restart of a busy entry's timer is no change that is recorded, but of these few it is: the
    recording can then tell when they go.
    """

    def __init__(self, director: str, facts: BootFacts, recording: RecordingWriter) -> None:
        self._director = director
        self._facts = facts
        self._recording = recording
        self._before: Rows | None = None
        self._timers_seen = TimersSeen()
        self._ends_ns: dict[Key, int] = {}
        self._renewed_ns: dict[Key, int] = {}

    def forecast(
        self,
        rows: Rows,
        seen_ns: Numbers,
        clock: DirectorClock,
    ) -> DrainForecast | None:
        """When the last of a draining real server's entries goes; None if it has none."""
        if not len(rows):
            return None
        first_s, last_s = removal_s(self._held(rows, seen_ns, clock), self._timers(clock))
        first_ns, last_ns = (int(clock.client_ns(edge).max()) for edge in (first_s, last_s))
        known = [(key, self._renewed_ns.get(key)) for key in _keys(rows)]
        renewed = {key: at_ns for key, at_ns in known if at_ns is not None}
        return DrainForecast(
            first_ns=first_ns,
            last_ns=last_ns,
            renewed=len(renewed),
            clients=sum(_is_template(key) for key in renewed),
            last_renewal_ns=max(renewed.values(), default=None),
        )

    def note(self, rows: Rows, seen_ns: Numbers) -> None:
        """Take a poll of all draining real servers' entries: which were renewed, which went."""
        all_rows = rows
        self._timers_seen.see(rows, seen_ns)
        is_busy = np.isin(rows["state"], [state.encode() for state in BUSY_STATES])
        is_template = rows["client_port"] == 0
        watched = is_busy | is_template
        rows, seen_ns, is_template = rows[watched], seen_ns[watched], is_template[watched]
        ends_ns = seen_ns + np.minimum(rows["expires_s"], _LONGEST_S) * NS_PER_S
        keys = list(_keys(rows))
        before_ns = np.array([self._ends_ns.get(key, _NEVER) for key in keys], dtype=np.int64)
        gained = (before_ns != _NEVER) & (ends_ns - before_ns > RESTART_S * NS_PER_S)
        gained &= rows["expires_s"] > 0  # what is late shows 0
        surely = ~is_template | surely_renewed(rows["expires_s"], seen_ns < before_ns)
        renewed = gained & surely
        for i in np.flatnonzero(gained & ~surely):
            renewed[i] = self._came(rows["client_ip_low"][i], all_rows)
        self._remember(keys, np.where((before_ns == _NEVER) | gained, ends_ns, before_ns))
        self._renewed_ns |= {keys[i]: int(seen_ns[i]) for i in np.flatnonzero(renewed)}
        self._before = all_rows
        self._record(rows[renewed & ~is_template], seen_ns[renewed & ~is_template])

    def _remember(self, keys: list[Key], ends_ns: Numbers) -> None:
        self._ends_ns = dict(zip(keys, ends_ns.tolist(), strict=True))
        self._renewed_ns = {
            key: at_ns for key, at_ns in self._renewed_ns.items() if key in self._ends_ns
        }

    def _came(self, client: int, rows: Rows) -> bool:
        """Whether a client has an entry that it had not in the poll before.

        Of a template whose address none of the entries has (a netmask is set), whether anybody has.
        """
        entries = rows[rows["client_port"] != 0]
        of_client = entries[entries["client_ip_low"] == client]
        known = set() if self._before is None else set(_keys(self._before))
        return any(key not in known for key in _keys(of_client if len(of_client) else entries))

    def _record(self, rows: Rows, seen_ns: Numbers) -> None:
        if len(rows):
            columns = {"at": seen_ns, "director": self._director, "change": "state"}
            self._recording.extend_columns("entries", columns | entry_columns(rows))

    def _held(self, rows: Rows, seen_ns: Numbers, clock: DirectorClock) -> EntryTimers:
        n = len(rows)
        ends = self._timers_seen.of(rows)
        return EntryTimers(
            state=np.array([name.decode() for name in rows["state"].tolist()], dtype=object),
            client=rows["client_ip_low"].astype(object),
            seen_s=clock.uptime_s(seen_ns),
            expires_s=rows["expires_s"].astype(np.float64),
            before_s=np.full(n, -np.inf),
            is_template=rows["client_port"] == 0,
            renewed=np.zeros(n, dtype=bool),
            ends_s=None if ends is None else _uptimes_s(ends, clock),
            most_left_s=None if ends is None else ends.most_left_s.astype(np.float64),
        )

    def _timers(self, clock: DirectorClock) -> Timers:
        phase = self._facts.timer_phase
        return Timers(
            timeouts=self._facts.timeouts or Timeouts(),
            hz=phase.hz if phase else None,
            phase_s=phase.phase_s if phase else None,
            uncertainty_s=clock.uncertainty_s + (phase.uncertainty_s if phase else 0.0),
        )


def _uptimes_s(ends: TimerEnds, clock: DirectorClock) -> tuple[Floats, Floats]:
    known = ends.low_ns > _NEVER
    low_s = np.full(len(known), -np.inf)
    low_s[known] = clock.uptime_s(ends.low_ns[known])
    return low_s, clock.uptime_s(ends.high_ns)


def _is_template(key: Key) -> bool:
    return key[_KEY.index("client_port")] == 0


def _keys(rows: Rows) -> Iterator[Key]:
    return zip(*(rows[name].tolist() for name in _KEY), strict=True)
