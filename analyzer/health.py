"""Is a director well? What is checked of a look of some seconds, each check a small function.

Nothing is sent for it: the rate is the one that clients bring at present. A check that could not be
made says so, and never passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from analyzer.ipvs.states import State, Timeouts, is_active
from analyzer.ipvs.timers import granule_s
from analyzer.lives import DEBIAN_HZ, EPHEMERAL_PORTS
from analyzer.model import port_budget, table_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.ipvs.formats import Entry, Service

SCHEMA_VERSION = 1
Outcome = Literal["passed", "failed", "not measured", "skipped"]

FIXED_S = 120.0  # TIME_WAIT: where both sides' packets pass the director
MEMORY_SHARE = 0.5  # of what is available, that the table may come to take
HALF_OPEN_SHARE, FEWEST = 0.5, 20
TORN_SHARE, TORN = 0.05, 5
"""The table is no snapshot: entries come and go while it is read (ip_vs_conn_seq_next)."""

_NOT_GIVEN = "the director does not let us read /proc/net/ip_vs_conn"

_UNFIT = {
    True: frozenset({State.FIN_WAIT}),
    False: frozenset({State.TIME_WAIT, State.CLOSE_WAIT, State.SYN_SENT}),
}
"""By whether replies pass the director; then a connection closed on both sides is in TIME_WAIT."""

_UNFIT_SHARE = {True: 0.5, False: 0.01}
"""With replies FIN_WAIT is also where a server has closed and its client has not: that is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a director showed; None where it did not.

    Attributes:
        director: its name.
        per_s: new connections a second of each service, by its ``name_of``.
        entries: its connection table; None where it was not given.
        sample_of: how many there are, where ``entries`` are only a fair sample of them.
        vrrp_state: MASTER, BACKUP, or None without keepalived.
        sync_daemon: as ``ipvsadm -L --daemon`` tells: master, backup, master+backup, none.
    """

    director: str
    kernel: str | None
    hz: int | None
    timeouts: Timeouts | None
    services: tuple[Service, ...]
    conn_tab_bits: int
    per_s: Mapping[str, float] | None
    entries: tuple[Entry, ...] | None
    sample_of: int | None
    memory_available_bytes: int | None
    vrrp_state: str | None
    sync_daemon: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, on one director, or on all (None)."""

    what: str
    director: str | None
    outcome: Outcome
    detail: str


def checks(healths: Sequence[Health], expected: Timeouts | None) -> tuple[Check, ...]:
    """All of them.

    Args:
        healths: of the directors that are to be one.
        expected: the timeouts that are configured; None where nobody said.
    """
    found: list[Check] = []
    for one in healths:
        found += [_timeouts(one, expected), _ports(one), _memory(one), _states(one), _counters(one)]
    return (*found, *_alike(healths), _sync(healths))


def name_of(service: Service) -> str:
    """``TCP 192.168.10.2:80``, or the firewall mark."""
    if service.address is None:
        return f"fwmark {service.fwmark}"
    return f"{service.protocol} {service.address}:{service.port}"


def _check(what: str, director: str | None, outcome: Outcome | bool, detail: str) -> Check:
    if isinstance(outcome, bool):
        outcome = "passed" if outcome else "failed"
    return Check(what=what, director=director, outcome=outcome, detail=detail)


def _timeouts(one: Health, expected: Timeouts | None) -> Check:
    what = "timeouts in force"
    if one.timeouts is None:
        why = "they cannot be read: root there, or sudo -n for ipvsadm"
        return _check(what, one.director, "not measured", why)
    now = _three(one.timeouts)
    if expected is None:
        return _check(what, one.director, "skipped", f"{now}; --expect-timeouts was not told")
    text = f"{now}, {_three(expected)} expected"
    return _check(what, one.director, one.timeouts == expected, text)


def _three(timeouts: Timeouts) -> str:
    return f"{timeouts.tcp_s:g} {timeouts.tcpfin_s:g} {timeouts.udp_s:g}"


# -- what the present rate comes to --------------------------------------------------------------


def lifetime_s(service: Service, timeouts: Timeouts, hz: int) -> float:
    """How long an entry of a closed connection is kept at the longest."""
    if service.protocol == "UDP":
        governing_s = float(timeouts.udp_s)
    elif _sees_replies(service):
        governing_s = FIXED_S
    else:
        governing_s = float(timeouts.tcpfin_s)
    return governing_s + granule_s(governing_s, hz)


def _sees_replies(service: Service) -> bool:
    return any(server.forwarding in ("nat", "local") for server in service.destinations)


def _rates(one: Health) -> list[tuple[Service, float, float]]:
    """Each service with its rate and its entries' lifetime; those that nobody uses left out."""
    rates = one.per_s or {}
    timeouts = one.timeouts or Timeouts()
    return [
        (service, rate, lifetime_s(service, timeouts, one.hz or DEBIAN_HZ))
        for service in one.services
        if (rate := rates.get(name_of(service), 0.0)) > 0
    ]


def _unknown_rate(what: str, one: Health) -> Check | None:
    if one.per_s is None:
        why = "its counters cannot be read: root there, or sudo -n for ipvsadm"
        return _check(what, one.director, "not measured", why)
    if one.timeouts is None:
        return _check(what, one.director, "not measured", "its timeouts cannot be read")
    return (
        None if _rates(one) else _check(what, one.director, True, "no new connections at present")
    )


def _ports(one: Health) -> Check:
    """Would a client's port come back while its entry is still there?"""
    what = "source ports"
    unknown = _unknown_rate(what, one)
    if unknown is not None:
        return unknown
    shares: dict[str, float] = {}
    for service, rate, kept_s in _rates(one):
        sources = _sources(one, service)
        clients = max(sources or 1, 1)
        budget = port_budget(rate, clients, EPHEMERAL_PORTS, kept_s, client_held_s=0)
        share = rate / budget.entry_limit_per_s
        if share > 1 and (sources is None or one.sample_of):
            why = f"{name_of(service)}: {rate:.0f}/s; how many clients share it is not known"
            return _check(what, one.director, "not measured", why)
        text = f"{name_of(service)}: {rate:.1f}/s, {share:.1%} of what the ports of {clients:,} "
        shares[text + ("client allows" if clients == 1 else "clients allow")] = share
    worst = max(shares, key=lambda text: shares[text])
    return _check(what, one.director, shares[worst] <= 1, worst)


def _sources(one: Health, service: Service) -> int | None:
    if one.entries is None:
        return None
    mine = (e.client_ip for e in one.entries if (e.vip, e.port) == (service.address, service.port))
    return len(set(mine))


def _memory(one: Health) -> Check:
    what = "memory"
    unknown = _unknown_rate(what, one)
    if unknown is not None:
        return unknown
    entries = round(sum(rate * kept_s for _, rate, kept_s in _rates(one)))
    cost = table_memory(entries, one.conn_tab_bits)
    text = f"{entries:,} entries at this rate, {cost.slab_bytes / 1e6:.1f} MB"
    if one.memory_available_bytes is None:
        return _check(what, one.director, "not measured", f"{text}; what is available is not known")
    share = cost.slab_bytes / one.memory_available_bytes
    text += f" ({share:.2%} of what is available), chains of {cost.chain_length:.2f}"
    return _check(what, one.director, share <= MEMORY_SHARE, text)


# -- entries -------------------------------------------------------------------------------------


def _bound(one: Health) -> Iterator[tuple[Entry, bool]]:
    """Entries of the servers that are there, and whether replies pass; templates left out."""
    known = {
        (service.address, service.port, server.address, server.port): server.forwarding
        for service in one.services
        for server in service.destinations
    }
    for entry in one.entries or ():
        method = known.get((entry.vip, entry.port, entry.real_server, entry.real_port))
        if method is not None and entry.client_port:
            yield entry, method in ("nat", "local")


def _states(one: Health) -> Check:
    """Entries' states are those that the forwarding leads to."""
    what = "entries' states"
    if one.entries is None:
        return _check(what, one.director, "not measured", _NOT_GIVEN)
    seen = [(entry, replies) for entry, replies in _bound(one) if entry.state in State.__members__]
    if not seen:
        return _check(what, one.director, True, "no entries at present")
    of = f"; {_sample(one)}" if one.sample_of else ""
    unfit = Counter(e.state for e, replies in seen if State[e.state] in _UNFIT[replies])
    half_open = sum(entry.state == "SYN_RECV" for entry, _ in seen)
    allowed = sum(_UNFIT_SHARE[replies] for _, replies in seen)
    named = _named(Counter(entry.state for entry, _ in seen), "")
    if unfit.total() > max(allowed, 1):
        why = f"{_named(unfit, 'in ')} do not fit the forwarding ({named}{of})"
        return _check(what, one.director, False, why)
    if half_open > HALF_OPEN_SHARE * len(seen) and len(seen) >= FEWEST:
        why = f"{half_open:,} of {len(seen):,} half open: refused, or an ARP leak ({named}{of})"
        return _check(what, one.director, False, why)
    return _check(what, one.director, True, named + of)


def _sample(one: Health) -> str:
    return f"{len(one.entries or ()):,} of {one.sample_of:,} entries, a sample"


def _named(states: Counter[str], word: str) -> str:
    return ", ".join(f"{n:,} {word}{state}" for state, n in states.most_common())


def _counters(one: Health) -> Check:
    """ActiveConn and InActConn are the number of entries; of a sample, their shares."""
    what = "counters and entries"
    if one.entries is None:
        return _check(what, one.director, "not measured", _NOT_GIVEN)
    counts = is_active(one.kernel)
    bound = [entry for entry, _ in _bound(one) if entry.state in State.__members__]
    active = sum(bool(counts[State[entry.state]]) for entry in bound)
    servers = [s for service in one.services if service.address for s in service.destinations]
    told = sum(s.active for s in servers), sum(s.inactive for s in servers)
    found = active, len(bound) - active
    if one.sample_of:
        return _check(what, one.director, *_shares(one, told, found))
    allowed = max(TORN, TORN_SHARE * sum(told))
    alike = all(abs(a - b) <= allowed for a, b in zip(told, found, strict=True))
    text = f"{told[0]:,} active, {told[1]:,} inactive; by entries {found[0]:,} and {found[1]:,}"
    return _check(what, one.director, alike, text)


def _shares(one: Health, told: tuple[int, int], found: tuple[int, int]) -> tuple[bool, str]:
    """Whether as many of a sample are active as the counters say, and in words."""
    by_counters, by_entries = (part[0] / max(sum(part), 1) for part in (told, found))
    text = f"{told[0]:,} active, {told[1]:,} inactive: {by_counters:.1%} active"
    text += f"; by entries {by_entries:.1%} ({_sample(one)})"
    return abs(by_counters - by_entries) <= TORN_SHARE, text


# -- directors together --------------------------------------------------------------------------


def _alike(healths: Sequence[Health]) -> list[Check]:
    if len(healths) < 2:
        why = "one director alone"
        return [_check("services alike", None, "skipped", why)]
    first, found = healths[0], []
    for other in healths[1:]:
        differ = sorted(_shape(first) ^ _shape(other), key=str)
        text = f"as on {first.director}: {len(_shape(other))} rows of ipvsadm -Ln"
        if differ:
            text = f"otherwise than on {first.director}: {'; '.join(differ[:4])}"
        found.append(_check("services alike", other.director, not differ, text))
        if first.timeouts and other.timeouts:
            text = f"{_three(other.timeouts)}, {_three(first.timeouts)} on {first.director}"
            same = first.timeouts == other.timeouts
            found.append(_check("timeouts alike", other.director, same, text))
    return found


def _shape(one: Health) -> set[str]:
    """What directors must have alike, a text each; counters are each one's own."""
    servers = {
        f"{name_of(service)} {server.address}:{server.port} {server.forwarding} "
        f"weight {server.weight}"
        for service in one.services
        for server in service.destinations
    }
    return servers | {f"{name_of(service)} {service.scheduler}" for service in one.services}


def _sync(healths: Sequence[Health]) -> Check:
    """Where one director sends its entries, another must take them."""
    what = "sync daemon"
    roles = {one.director: one.sync_daemon for one in healths}
    told = ", ".join(f"{name} {role or 'not told'}" for name, role in roles.items())
    if len(healths) < 2:
        return _check(what, None, "skipped", f"one director alone ({told})")
    if None in roles.values():
        return _check(what, None, "not measured", f"root there, or sudo -n for ipvsadm ({told})")
    if set(roles.values()) == {"none"}:
        return _check(what, None, True, "none runs: a fail-over breaks the connections in flight")
    wrong = [
        one.director
        for one in healths
        if one.sync_daemon == "none"
        or (one.vrrp_state == "MASTER" and "master" not in (one.sync_daemon or ""))
        or (one.vrrp_state == "BACKUP" and "backup" not in (one.sync_daemon or ""))
    ]
    sends = any("master" in (role or "") for role in roles.values())
    takes = any("backup" in (role or "") for role in roles.values())
    detail = f"{told}; not as hoped on {', '.join(wrong)}" if wrong else told
    return _check(what, None, not wrong and sends and takes, detail)


def to_json(found: Sequence[Check], healths: Sequence[Health]) -> dict[str, Any]:
    """The document that ``--json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict(found),
        "directors": [
            {
                "director": one.director,
                "kernel": one.kernel,
                "hz": one.hz,
                "timeouts_s": asdict(one.timeouts) if one.timeouts else None,
                "services": len(one.services),
                "entries": None if one.entries is None else len(one.entries),
                "sample_of": one.sample_of,
                "connections_per_s": None if one.per_s is None else sum(one.per_s.values()),
                "vrrp_state": one.vrrp_state,
                "sync_daemon": one.sync_daemon,
            }
            for one in healths
        ],
        "checks": [asdict(check) for check in found],
    }


def verdict(found: Sequence[Check]) -> str:
    """One sentence."""
    outcomes = Counter(check.outcome for check in found)
    if outcomes["failed"]:
        return f"{outcomes['failed']} of {len(found)} checks failed"
    if outcomes["not measured"]:
        return f"{outcomes['not measured']} of {len(found)} checks could not be made"
    return "All is as it should be"
