"""Checks of a director's entries: their states, their number, and their real servers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.health.model import check, name_of
from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.counting import counts_as_active, is_half_open
from analyzer.ipvs.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.health.model import Check, Health
    from analyzer.health.places import BoundEntry, OwnedEntries, Place
    from analyzer.ipvs.proc.formats import Entry

HALF_OPEN_SHARE, FEWEST = 0.5, 20
FEWEST_ALL_ALIKE = 5
"""This many half-open entries of one real server, and no others, are not chance either."""

TORN_SHARE, TORN = 0.05, 5
"""The table is no snapshot: entries come and go while it is read (ip_vs_conn_seq_next)."""
READ_S, READ_ENTRY_S = 0.05, 25e-6
"""Time from reading the counters to the last entry: a fixed part, and more for each entry."""

SHOWN = 4

_NOT_GIVEN = "the director does not let us read /proc/net/ip_vs_conn"
_REPLYING = ("nat", "local")
"""The ways of forwarding whose replies pass the director."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnfitStates:
    """TCP states that do not fit a way of forwarding.

    Attributes:
        states: their names.
        share: of a server's entries that may be in them.
        fewest: entries of a server below which nothing is concluded.
    """

    states: frozenset[str]
    share: float
    fewest: int


_UNFIT = {
    True: _UnfitStates(states=frozenset({State.FIN_WAIT.name}), share=0.5, fewest=FEWEST),
    False: _UnfitStates(
        states=frozenset({State.TIME_WAIT.name, State.CLOSE_WAIT.name, State.SYN_SENT.name}),
        share=0.01,
        fewest=0,
    ),
}
"""By whether replies pass the director; then a connection closed on both sides is in TIME_WAIT.

With replies FIN_WAIT is also where a server has closed and its client has not: that is usual.
"""

_WHY_HALF_OPEN = {
    True: "no answer comes back through the director: the server is silent, or its way back leads "
    "past the director",
    False: "refused or unanswered, or an ARP leak",
}


# -- states --------------------------------------------------------------------------------------


def states(health: Health, owned: OwnedEntries) -> Check:
    """Check that each real server's entries are in the states that its forwarding leads to."""
    what = "entries' states"
    if health.entries is None:
        return check(what, health.director, "not measured", _NOT_GIVEN)
    if not owned.bound:
        return check(what, health.director, True, "no entries at present" + _other_entries(owned))
    faults = [
        f"{name}: {fault}"
        for name, entries in _by_server(owned).items()
        for fault in _faults(entries)
    ]
    faults = faults or _faults([(each.entry, _replies(owned, each)) for each in owned.bound])
    named = _named(each.entry for each in owned.bound)
    of = f"; {sample(health)}" if health.sample_of else ""
    if faults:
        return check(what, health.director, False, f"{_first_few(faults)} ({named}{of})")
    return check(what, health.director, True, named + of + _other_entries(owned))


def _other_entries(owned: OwnedEntries) -> str:
    """The entries that are no connections of a configured real server, in words."""
    n, orphans = len(owned.templates), len(owned.orphans)
    parts = [f"{n:,} persistence template{'s' * (n != 1)}"] if n else []
    parts += [f"{orphans:,} of servers that are not configured"] if orphans else []
    return f"; besides {' and '.join(parts)}" if parts else ""


def _by_server(owned: OwnedEntries) -> dict[str, list[tuple[Entry, bool]]]:
    """Each real server's entries with whether replies pass the director; by server and service."""
    by_server: dict[str, list[tuple[Entry, bool]]] = defaultdict(list)
    names = [name_of(place.service) for place in owned.places]
    for bound in owned.bound:
        server = host_port(bound.entry.real_server, bound.entry.real_port)
        by_server[f"{server} of {names[bound.at[0]]}"].append((bound.entry, _replies(owned, bound)))
    return by_server


def _replies(owned: OwnedEntries, bound: BoundEntry) -> bool:
    return owned.places[bound.at[0]].server.forwarding in _REPLYING


def _faults(entries: Sequence[tuple[Entry, bool]]) -> list[str]:
    """Faults that the states of one server's entries, or of all entries, show."""
    faults: list[str] = []
    for replies, rule in _UNFIT.items():
        alike = [entry for entry, passes in entries if passes == replies]
        unfit = [e for e in alike if e.protocol == "TCP" and e.state in rule.states]
        if len(alike) >= rule.fewest and len(unfit) > max(rule.share * len(alike), 1):
            faults.append(f"{_named(unfit, 'in ')} do not fit the forwarding")
    half_open = [passes for entry, passes in entries if is_half_open(entry.protocol, entry.state)]
    n, whole = len(half_open), len(entries)
    most = n > HALF_OPEN_SHARE * whole and whole >= FEWEST
    if most or (n == whole and n >= FEWEST_ALL_ALIKE):
        why = _WHY_HALF_OPEN[all(half_open)]
        faults.append(f"{n:,} of {whole:,} half open: {why}")
    return faults


def sample(health: Health) -> str:
    """How much of the table was read, in words."""
    return f"{len(health.entries or ()):,} of {health.sample_of:,} entries, a sample"


def _named(entries: Iterable[Entry], word: str = "") -> str:
    counted = Counter(_state(entry) for entry in entries)
    return ", ".join(f"{n:,} {word}{state}" for state, n in counted.most_common())


def _state(entry: Entry) -> str:
    """An entry's state as printed, with its protocol where TCP may have a state of that name."""
    is_plain = entry.protocol in ("TCP", entry.state)
    return entry.state if is_plain else f"{entry.protocol} {entry.state}"


def _first_few(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


# -- counters ------------------------------------------------------------------------------------


def counters(health: Health, owned: OwnedEntries) -> Check:
    """Check that ActiveConn and InActConn equal the number of entries; of a sample, the shares."""
    what = "counters and entries"
    if health.entries is None:
        return check(what, health.director, "not measured", _NOT_GIVEN)
    shown = [_shown([place]) for place in owned.places]
    counted = _counted(health.kernel, owned)
    by_counters, by_entries = _sum(shown), _sum(list(counted.values()))
    if health.sample_of:
        return check(what, health.director, *_shares(health, by_counters, by_entries))
    text = f"{by_counters[0]:,} active, {by_counters[1]:,} inactive; "
    text += f"by entries {by_entries[0]:,} and {by_entries[1]:,}"
    agree = _agree(by_counters, by_entries, _passing(health, sum((health.per_s or {}).values())))
    apart = _disagreeing_servers(health, owned, counted)
    return check(what, health.director, agree and not apart, "; ".join([text, *apart[:SHOWN]]))


def _shown(places: Sequence[Place]) -> tuple[int, int]:
    """The sums of ActiveConn and InActConn."""
    return sum(p.server.active for p in places), sum(p.server.inactive for p in places)


def _counted(kernel: str | None, owned: OwnedEntries) -> dict[tuple[int, ...], tuple[int, int]]:
    """Active and inactive entries, by the places that they may be counted at."""
    counted: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0])
    for bound in owned.bound:
        is_active = counts_as_active(bound.entry.protocol, bound.entry.state, kernel)
        counted[bound.at][0 if is_active else 1] += 1
    return {at: (active, inactive) for at, (active, inactive) in counted.items()}


def _sum(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(active for active, _ in pairs), sum(inactive for _, inactive in pairs)


def _passing(health: Health, per_s: float) -> float:
    """How many entries appear or expire while the table is read."""
    return per_s * (READ_S + READ_ENTRY_S * len(health.entries or ()))


def _agree(by_counters: tuple[int, int], by_entries: tuple[int, int], passing: float) -> bool:
    allowed = max(TORN, TORN_SHARE * sum(by_counters)) + passing
    return all(abs(a - b) <= allowed for a, b in zip(by_counters, by_entries, strict=True))


def _disagreeing_servers(
    health: Health, owned: OwnedEntries, counted: Mapping[tuple[int, ...], tuple[int, int]]
) -> list[str]:
    """The real servers whose counters do not match their entries, in words."""
    texts: list[str] = []
    rates = health.per_s or {}
    for group in owned.groups():
        places = [owned.places[number] for number in sorted(group)]
        by_counters = _shown(places)
        by_entries = _sum([pair for at, pair in counted.items() if at[0] in group])
        per_s = sum(rates.get(name, 0.0) for name in {name_of(p.service) for p in places})
        if not _agree(by_counters, by_entries, _passing(health, per_s)):
            who = ", ".join(place.name for place in places[:SHOWN])
            numbers = "{:,} and {:,}, by entries {:,} and {:,}".format(*by_counters, *by_entries)
            texts.append(f"{who}: {numbers}")
    return texts


def _shares(
    health: Health, by_counters: tuple[int, int], by_entries: tuple[int, int]
) -> tuple[bool, str]:
    """Whether a sample's active share is that of the counters, and the text that says so."""
    share, of_entries = (part[0] / max(sum(part), 1) for part in (by_counters, by_entries))
    text = f"{by_counters[0]:,} active, {by_counters[1]:,} inactive: {share:.1%} active"
    text += f"; by entries {of_entries:.1%} ({sample(health)})"
    return abs(share - of_entries) <= TORN_SHARE, text


# -- whose they are ------------------------------------------------------------------------------


def orphans(health: Health, owned: OwnedEntries) -> Check:
    """Check for entries whose real server is not configured now: packets to it are dropped.

    Open connections among them are broken, and clients are not told (expire_nodest_conn=0); those
    that have ended only wait for their timeout.
    """
    what = "entries of removed servers"
    if health.entries is None:
        return check(what, health.director, "not measured", _NOT_GIVEN)
    if not owned.orphans:
        return check(what, health.director, True, "none")
    by_server: dict[str, list[Entry]] = defaultdict(list)
    for entry in owned.orphans:
        server = host_port(entry.real_server, entry.real_port)
        by_server[f"{server} ({entry.protocol} {host_port(entry.vip, entry.port)})"].append(entry)
    largest = sorted(by_server.items(), key=lambda item: -len(item[1]))
    named = _first_few([f"{name}: {_named(entries)}" for name, entries in largest])
    is_open = any(counts_as_active(e.protocol, e.state, health.kernel) for e in owned.orphans)
    why = (
        "; packets of those that are open are dropped (or answered by a reset, "
        "with expire_nodest_conn=1)"
        if is_open
        else "; they go when their timeouts are over"
    )
    return check(what, health.director, not is_open, named + why)
