"""Findings about netfilter directors: the sysctl that governs, open ends, a table nearly full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.conntrack.settings import MAX_RETRANS, PREFIX, UNACKNOWLEDGED
from analyzer.findings.decay.timeouts import governing
from analyzer.findings.figures import agrees, by_whom, lifetime_sentence, measured, timeout_sentence
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.findings.figures import Figures
    from analyzer.measured import Measured
    from analyzer.results import Lifetime

NEARLY_FULL = 0.95
"""Share of nf_conntrack_max from which on entries are dropped early (``gc_worker``)."""

_COUNT = "nf_conntrack_count reached {:,}"
_OPEN = "ESTABLISHED"
_HALF_CLOSED = "CLOSE_WAIT"
_SHORTER = (UNACKNOWLEDGED, MAX_RETRANS)


def governs(row: Lifetime) -> str:
    """The verdict's clause on what governs a group of conntrack's entries."""
    if row.timeout_name == "fixed":
        return f"conntrack's {row.state} governs, a timeout fixed in the kernel"
    return f"{row.timeout_name} governs conntrack's entries"


def held(figures: Figures, director: str) -> list[str]:
    """The most entries of a netfilter director in one poll, in words; empty of another one."""
    return [
        f"of all traffic, conntrack held up to {most:,} entries on {director}"
        for result in figures.by_conntrack
        if result.director.name == director and (most := most_entries(figures, result))
    ]


def most_entries(figures: Figures, result: Measured) -> int:
    """The most entries that a poll read, of all traffic; 0 where entries were not polled."""
    return _most(figures, result, "entries") or 0


def _most(figures: Figures, result: Measured, column: str) -> int | None:
    """The largest value of a column of the polls; None where none has one."""
    if figures.evidence is None:
        return None
    values = figures.evidence.by_director[result.director.name].polls[column]
    return int(values.max()) if values.notna().any() else None


def _rows(figures: Figures) -> list[Lifetime]:
    return [row for row in figures.lifetimes if row.counted is None]


def conntrack_governs(figures: Figures) -> Finding | None:
    """The largest group of entries that did not stay open, and the sysctl that it waited for."""
    rows = [row for row in _rows(figures) if row.state != _OPEN]
    row = governing(rows)
    if row is None:
        return None
    verdict = agrees(row)
    fixed = row.timeout_name == "fixed"
    name = f"{PREFIX}{row.timeout_name}"
    return Finding(
        id="conntrack-governs",
        severity="warning" if verdict is False else "info",
        title=f"Entries waited in {row.state}, a fixed timeout"
        if fixed
        else f"{row.timeout_name} governs how long conntrack keeps entries"
        + (", and the measured value is another" if verdict is False else ""),
        evidence=f"On {row.director} {lifetime_sentence(row)}, all in {row.state}. Timeout "
        f"{measured(row)}, {by_whom(row)} {timeout_sentence(row)}. There is no timer wheel: an "
        "entry is gone the moment its timeout ends.",
        advice="ipvsadm --set changes nothing here."
        + (
            ""
            if fixed
            else f" sysctl {name} does; it applies to each entry from its next packet on. A "
            "SYN from the same port ends an entry in TIME_WAIT and makes a new one: what waits "
            "there costs a place in the table, no port."
        ),
    )


def conntrack_idle(figures: Figures) -> Finding | None:
    """Entries expired or wait in ESTABLISHED."""
    rows = [row for row in _rows(figures) if row.state == _OPEN]
    if not rows:
        return None
    n, n_expired = sum(row.n for row in rows), sum(row.n_expired for row in rows)
    shorter = any(row.timeout_name in _SHORTER for row in rows)
    loose = all(
        result.conntrack.settings.loose for result in figures.by_conntrack if result.conntrack
    )
    late = (
        "its next packet makes a new entry (nf_conntrack_tcp_loose), perhaps for another real "
        "server, which resets it"
        if loose
        else "its next packet belongs to no entry and is not translated"
    )
    return Finding(
        id="conntrack-idle",
        severity="warning" if n_expired else "info",
        title=f"{_were(n)} left open: {_waits(rows)}",
        evidence=_by_director(rows),
        advice=(
            "What was not acknowledged, or was sent again and again, waits a shorter time than "
            "what is only idle. "
            if shorter
            else ""
        )
        + f"Once the entry of a connection has expired, {late}.",
    )


def conntrack_half_closed(figures: Figures) -> Finding | None:
    """Entries that one side has closed and the other has not."""
    rows = [row for row in _rows(figures) if row.state == _HALF_CLOSED]
    if not rows:
        return None
    n = sum(row.n for row in rows)
    return Finding(
        id="conntrack-half-closed",
        severity="warning",
        title=f"{_were(n)} closed by one side alone: {_waits(rows)}",
        evidence=_by_director(rows),
        advice="The kernel's default is 60 s; kube-proxy sets an hour (conntrack.tcpCloseWait"
        "Timeout), where IPVS keeps such an entry one or two minutes. Have both sides close.",
    )


def _waits(rows: Sequence[Lifetime]) -> str:
    """Every sysctl that entries wait for, and what it is set to."""
    waits = dict.fromkeys(f"{row.timeout_name}, {timeout_sentence(row)}" for row in rows)
    return " or ".join(waits)


def _by_director(rows: Sequence[Lifetime]) -> str:
    return "; ".join(f"{row.director}: {lifetime_sentence(row)}" for row in rows) + "."


def _were(n: int) -> str:
    return "1 connection was" if n == 1 else f"{n:,} connections were"


def conntrack_table_full(figures: Figures) -> Finding | None:
    """A table so full that entries are dropped early, or new ones refused."""
    for result in figures.by_conntrack:
        settings = result.conntrack.settings if result.conntrack else None
        most = settings.table_max if settings else None
        counted = _most(figures, result, "table_entries")
        entries = most_entries(figures, result) if counted is None else counted
        if not most or entries < NEARLY_FULL * most:
            continue
        return Finding(
            id="table-full",
            severity="problem",
            title=f"conntrack's table is nearly full: {entries:,} of at most {most:,} entries",
            evidence=f"On {result.director.name} "
            + (f"a poll read {entries:,} entries" if counted is None else _COUNT.format(counted))
            + f"; nf_conntrack_max is {most:,}.",
            advice="Above 95 % the kernel drops closing entries and those that are not ASSURED; in "
            "a full table a packet that finds none to drop is lost (nf_conntrack: table full, "
            "dropping packet). Raise net.netfilter.nf_conntrack_max, or shorten the timeouts.",
        )
    return None
