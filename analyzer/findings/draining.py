"""Findings about real servers of weight 0: when the last entry goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.log_clock.instants import time_of_day
from analyzer.results import Finding

if TYPE_CHECKING:
    from analyzer.findings.figures import Figures
    from analyzer.results import Drain


def draining(figures: Figures) -> Finding | None:
    """When a real server of weight 0 may be rebooted."""
    if not figures.drains:
        return None
    empty = [row for row in figures.drains if not row.entries]
    title = (
        "Real servers of weight 0 hold nothing: they may be rebooted"
        if len(empty) == len(figures.drains)
        else "Real servers of weight 0 still hold entries: when they may be rebooted"
    )
    return Finding(
        id="draining",
        severity="info",
        title=title,
        evidence="; ".join(told(row) for row in figures.drains) + ".",
        advice="Wait until the last entry has gone on every director. A packet of an open "
        "connection starts its timer again; expire_quiescent_template=1 ends persistence at once.",
    )


def told(row: Drain) -> str:
    """One real server in words."""
    where = f"{row.real_server} on {row.director} ({row.service})"
    if row.gone:
        return f"{where}: its last entry went by {time_of_day(row.gone, row.zone)}{_predicted(row)}"
    if not row.entries:
        return f"{where}: holds nothing"
    held = f"{where}: {_held(row)}"
    if row.not_before:
        return f"{held}, not gone before {time_of_day(row.not_before, row.zone)}: {row.why}"
    if row.gone_by is None:
        return f"{held}; when they go is not known: {row.why}"
    return (
        f"{held}, gone by {time_of_day(row.gone_by, row.zone)} ± {row.uncertainty_s or 0:.1f} s "
        "if no packet comes"
    )


def _held(row: Drain) -> str:
    states = ", ".join(f"{one.n} {one.state}" for one in row.states)
    n = "1 entry" if row.entries == 1 else f"{row.entries} entries"
    return f"{n} ({states})" if states else n


def _predicted(row: Drain) -> str:
    if row.gone_by is None:
        return ""
    return f", predicted {time_of_day(row.gone_by, row.zone)} ± {row.uncertainty_s or 0:.1f} s"
