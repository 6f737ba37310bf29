"""A director's entries: their states, their number beside the counters, and whose they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.health.model import made, name_of
from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.counting import counts_as_active, is_half_open
from analyzer.ipvs.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.health.model import Check, Health
    from analyzer.health.places import Bound, Place, Sorted
    from analyzer.ipvs.proc.formats import Entry

HALF_OPEN_SHARE, FEWEST = 0.5, 20
FEWEST_ALL_ALIKE = 5
"""So many half-open entries of one real server, and no other ones, are no chance either."""

TORN_SHARE, TORN = 0.05, 5
"""The table is no snapshot: entries come and go while it is read (ip_vs_conn_seq_next)."""
READ_S, READ_ENTRY_S = 0.05, 25e-6
"""Between reading the counters and the last entry lies so much, and so much more for each entry."""

SHOWN = 4

_NOT_GIVEN = "the director does not let us read /proc/net/ip_vs_conn"
_REPLYING = ("nat", "local")
"""The ways of forwarding whose replies pass the director."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unfit:
    """States that do not fit a way of forwarding.

    Attributes:
        states: by name, of TCP.
        share: of a server's entries, that may be in them.
        fewest: entries below which there is no telling.
    """

    states: frozenset[str]
    share: float
    fewest: int


_UNFIT = {
    True: _Unfit(states=frozenset({State.FIN_WAIT.name}), share=0.5, fewest=FEWEST),
    False: _Unfit(
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


def states(one: Health, found: Sorted) -> Check:
    """Entries' states are those that the forwarding leads to, on each real server."""
    what = "entries' states"
    if one.entries is None:
        return made(what, one.director, "not measured", _NOT_GIVEN)
    if not found.bound:
        return made(what, one.director, True, "no entries at present" + _besides(found))
    faults = [
        f"{name}: {fault}"
        for name, entries in _by_server(found).items()
        for fault in _faults(entries)
    ]
    faults = faults or _faults([(each.entry, _replies(found, each)) for each in found.bound])
    named = _named(each.entry for each in found.bound)
    of = f"; {sample(one)}" if one.sample_of else ""
    if faults:
        return made(what, one.director, False, f"{_some(faults)} ({named}{of})")
    return made(what, one.director, True, named + of + _besides(found))


def _besides(found: Sorted) -> str:
    """What is in the table and no connection of a real server."""
    n, orphans = len(found.templates), len(found.orphans)
    parts = [f"{n:,} persistence template{'s' * (n != 1)}"] if n else []
    parts += [f"{orphans:,} of servers that are not configured"] if orphans else []
    return f"; besides {' and '.join(parts)}" if parts else ""


def _by_server(found: Sorted) -> dict[str, list[tuple[Entry, bool]]]:
    """The entries of each real server, as a service and a port of it, and whether replies pass."""
    by_server: dict[str, list[tuple[Entry, bool]]] = defaultdict(list)
    names = [name_of(place.service) for place in found.places]
    for one in found.bound:
        server = host_port(one.entry.real_server, one.entry.real_port)
        by_server[f"{server} of {names[one.at[0]]}"].append((one.entry, _replies(found, one)))
    return by_server


def _replies(found: Sorted, one: Bound) -> bool:
    return found.places[one.at[0]].server.forwarding in _REPLYING


def _faults(entries: Sequence[tuple[Entry, bool]]) -> list[str]:
    """What the states of some entries, of one server or of all, give away."""
    found: list[str] = []
    for replies, rule in _UNFIT.items():
        own = [entry for entry, passes in entries if passes == replies]
        unfit = [e for e in own if e.protocol == "TCP" and e.state in rule.states]
        if len(own) >= rule.fewest and len(unfit) > max(rule.share * len(own), 1):
            found.append(f"{_named(unfit, 'in ')} do not fit the forwarding")
    half_open = [passes for entry, passes in entries if is_half_open(entry.protocol, entry.state)]
    n, whole = len(half_open), len(entries)
    most = n > HALF_OPEN_SHARE * whole and whole >= FEWEST
    if most or (n == whole and n >= FEWEST_ALL_ALIKE):
        why = _WHY_HALF_OPEN[all(half_open)]
        found.append(f"{n:,} of {whole:,} half open: {why}")
    return found


def sample(one: Health) -> str:
    """How much of the table was read."""
    return f"{len(one.entries or ()):,} of {one.sample_of:,} entries, a sample"


def _named(entries: Iterable[Entry], word: str = "") -> str:
    counted = Counter(_state(entry) for entry in entries)
    return ", ".join(f"{n:,} {word}{state}" for state, n in counted.most_common())


def _state(entry: Entry) -> str:
    """As it is printed; with its protocol where TCP has the name too, or could have."""
    is_plain = entry.protocol in ("TCP", entry.state)
    return entry.state if is_plain else f"{entry.protocol} {entry.state}"


def _some(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


# -- counters ------------------------------------------------------------------------------------


def counters(one: Health, found: Sorted) -> Check:
    """ActiveConn and InActConn are the number of entries; of a sample, their shares."""
    what = "counters and entries"
    if one.entries is None:
        return made(what, one.director, "not measured", _NOT_GIVEN)
    shown = [_shown([place]) for place in found.places]
    counted = _counted(one.kernel, found)
    told, seen = _sum(shown), _sum(list(counted.values()))
    if one.sample_of:
        return made(what, one.director, *_shares(one, told, seen))
    text = f"{told[0]:,} active, {told[1]:,} inactive; by entries {seen[0]:,} and {seen[1]:,}"
    alike = _alike(told, seen, _passing(one, sum((one.per_s or {}).values())))
    apart = _apart(one, found, counted)
    return made(what, one.director, alike and not apart, "; ".join([text, *apart[:SHOWN]]))


def _shown(places: Sequence[Place]) -> tuple[int, int]:
    """What their counters come to: active, inactive."""
    return sum(p.server.active for p in places), sum(p.server.inactive for p in places)


def _counted(kernel: str | None, found: Sorted) -> dict[tuple[int, ...], tuple[int, int]]:
    """How many entries count as active and inactive, by the places that they may be counted at."""
    counted: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0])
    for one in found.bound:
        is_active = counts_as_active(one.entry.protocol, one.entry.state, kernel)
        counted[one.at][0 if is_active else 1] += 1
    return {at: (active, inactive) for at, (active, inactive) in counted.items()}


def _sum(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(active for active, _ in pairs), sum(inactive for _, inactive in pairs)


def _passing(one: Health, per_s: float) -> float:
    """How many entries come or go while a table is read."""
    return per_s * (READ_S + READ_ENTRY_S * len(one.entries or ()))


def _alike(told: tuple[int, int], seen: tuple[int, int], passing: float) -> bool:
    allowed = max(TORN, TORN_SHARE * sum(told)) + passing
    return all(abs(a - b) <= allowed for a, b in zip(told, seen, strict=True))


def _apart(
    one: Health, found: Sorted, counted: Mapping[tuple[int, ...], tuple[int, int]]
) -> list[str]:
    """The real servers whose own counters are not what their own entries come to."""
    texts: list[str] = []
    rates = one.per_s or {}
    for group in found.groups():
        places = [found.places[number] for number in sorted(group)]
        told = _shown(places)
        seen = _sum([pair for at, pair in counted.items() if at[0] in group])
        per_s = sum(rates.get(name, 0.0) for name in {name_of(p.service) for p in places})
        if not _alike(told, seen, _passing(one, per_s)):
            who = ", ".join(place.name for place in places[:SHOWN])
            numbers = f"{told[0]:,} and {told[1]:,}, by entries {seen[0]:,} and {seen[1]:,}"
            texts.append(f"{who}: {numbers}")
    return texts


def _shares(one: Health, told: tuple[int, int], found: tuple[int, int]) -> tuple[bool, str]:
    """Whether as many of a sample are active as the counters say, and in words."""
    by_counters, by_entries = (part[0] / max(sum(part), 1) for part in (told, found))
    text = f"{told[0]:,} active, {told[1]:,} inactive: {by_counters:.1%} active"
    text += f"; by entries {by_entries:.1%} ({sample(one)})"
    return abs(by_counters - by_entries) <= TORN_SHARE, text


# -- whose they are ------------------------------------------------------------------------------


def orphans(one: Health, found: Sorted) -> Check:
    """Entries whose real server is not configured now: packets to it are dropped.

    Open connections among them are broken, and clients are not told (expire_nodest_conn=0); those
    that have ended only wait for their timeout.
    """
    what = "entries of removed servers"
    if one.entries is None:
        return made(what, one.director, "not measured", _NOT_GIVEN)
    if not found.orphans:
        return made(what, one.director, True, "none")
    by_server: dict[str, list[Entry]] = defaultdict(list)
    for entry in found.orphans:
        server = host_port(entry.real_server, entry.real_port)
        by_server[f"{server} ({entry.protocol} {host_port(entry.vip, entry.port)})"].append(entry)
    largest = sorted(by_server.items(), key=lambda item: -len(item[1]))
    named = _some([f"{name}: {_named(entries)}" for name, entries in largest])
    is_open = any(counts_as_active(e.protocol, e.state, one.kernel) for e in found.orphans)
    why = (
        "; packets of those that are open are dropped (or answered by a reset, "
        "with expire_nodest_conn=1)"
        if is_open
        else "; they go when their timeouts are over"
    )
    return made(what, one.director, not is_open, named + why)
