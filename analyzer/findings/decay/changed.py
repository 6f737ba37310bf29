"""Findings about timeouts that changed, or that differ from the reported ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.findings.figures import seconds
from analyzer.results import Finding
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.estimate.in_force.model import TimeoutChange
    from analyzer.findings.figures import Figures

LATE_NS = 500_000_000
"""A change noticed this much later than entries show it is reported from both."""

_MANY = 6
_STATES = {"tcp": "ESTABLISHED", "tcpfin": "FIN_WAIT", "udp": "UDP"}


def timeout_changed_midway(figures: Figures) -> Finding | None:
    """Timeouts were changed during the run: an entry keeps the value at its last packet."""
    events = [event for event in figures.events if event.kind == "timeouts-changed"]
    reported = [f"{event.t_s:.1f} s: {event.host}: --set {event.detail}" for event in events]
    shown = list(_shown_by_entries(figures))
    if not reported and not shown:
        return None
    groups = ", ".join(
        f"{row.n} in {row.state} under {seconds(row.timeout_s)}" for row in figures.lifetimes
    )
    parts = [_several(reported)] if reported else []
    parts += [f"By the expire column of entries {_several(shown)}"] if shown else []
    return Finding(
        id="timeout-changed-midway",
        severity="info",
        title="Timeouts were changed during the run; each entry keeps the one that its last packet "
        "set",
        evidence=". ".join([*parts, f"Entries: {groups}."]),
        advice="After ipvsadm --set, wait one old timeout before judging the new one.",
    )


def _shown_by_entries(figures: Figures) -> Iterator[str]:
    """Changes that were not reported, or reported late."""
    zero_ns = figures.evidence.zero_ns if figures.evidence else 0
    for result in figures.measured:
        for change in result.in_force.changes:
            late = change.noticed_ns is None or change.noticed_ns - change.until_ns > LATE_NS
            if change.n and late:
                yield f"{result.director.name}: {_change(change, zero_ns)}"


def _change(change: TimeoutChange, zero_ns: int) -> str:
    from_s, until_s = ((at_ns - zero_ns) / NS_PER_S for at_ns in (change.from_ns, change.until_ns))
    noticed = "" if change.noticed_ns is None else ", noticed when its timeouts were read next"
    return (
        f"{change.name} {change.before_s:g} to {change.value_s:g} s between {from_s:.2f} and "
        f"{until_s:.2f} s ({change.n} entries){noticed}"
    )


def timeouts_contradicted(figures: Figures) -> Finding | None:
    """The reported timeouts contradict the entries from the start."""
    rows = [
        f"{result.director.name}: {name} {reported_s:g} s by "
        f"{result.director.timeouts_source or 'the run'}, "
        f"{result.in_force.start_s(name):g} s in {_STATES[name]}"
        for result in figures.measured
        for name, reported_s in result.in_force.denied.items()
    ]
    if not rows:
        return None
    return Finding(
        id="timeouts-contradicted",
        severity="warning",
        title="The director's timeouts are not those that were given",
        evidence=f"{_several(rows)} by the expire column of its entries, which predictions use.",
        advice="Read them on the director (ipvsadm -L --timeout), and give those.",
    )


def _several(texts: list[str]) -> str:
    more = len(texts) - _MANY
    return "; ".join(texts[:_MANY]) + (f"; and {more} more" if more > 0 else "")
