"""Findings about real servers of weight 0: when the last entry expires."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analyzer.drains.drains import CLIENTS_RETURN, NOT_READ, TEMPLATE
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
        "Real servers of weight 0 hold no entries: they may be rebooted"
        if len(empty) == len(figures.drains)
        else "Real servers of weight 0 still hold entries: do not reboot them yet"
    )
    return Finding(
        id="draining",
        severity="info",
        title=title,
        evidence="; ".join(sentence(row) for row in figures.drains) + ".",
        advice=_advice(figures),
    )


def _advice(figures: Figures) -> str:
    wait = (
        "Wait until the last entry has expired on every director. A packet of an open connection "
        "restarts the timer of its entry."
    )
    held = [row for row in figures.drains if any(group.state == TEMPLATE for group in row.states)]
    if not held:
        return wait
    quiescent = {
        director.name
        for director in (figures.evidence.directors if figures.evidence else ())
        if director.expire_quiescent_template
    }
    if all(row.director in quiescent for row in held):
        return wait
    return (
        f"{wait} With persistence, a client that has a template stays on a server of weight 0: set "
        "net.ipv4.vs.expire_quiescent_template=1, and its next connection goes to another server."
    )


def sentence(row: Drain) -> str:
    """One real server in words."""
    where = f"{row.real_server} on {row.director} ({row.service})"
    if row.gone:
        at = time_of_day(row.gone, row.zone)
        return f"{where}: its last entry was gone by {at}{_predicted(row)}"
    if not row.entries and row.why == NOT_READ:
        return f"{where}: its counters are 0, but persistence templates, which they exclude, " + (
            "were not read"
        )
    if not row.entries:
        return f"{where}: holds no entries"
    held = f"{where}: {_held(row)}"
    if row.not_before:
        return f"{held}; {_renewed(row)}"
    if row.gone_by is None:
        return f"{held}; when they expire is not known: {row.why}"
    by = time_of_day(row.gone_by, row.zone)
    return f"{held}, gone by {by} ± {_wide(row.uncertainty_s)} s {_condition(row)}"


def _renewed(row: Drain) -> str:
    """That a server does not drain, and when it would."""
    times = f"{row.renewals} time{'s' * (row.renewals != 1)}"
    last = f", last at {time_of_day(row.last_renewal, row.zone)}" if row.last_renewal else ""
    if row.why != CLIENTS_RETURN:
        text = f"traffic renewed entries {times}{last}: it does not empty while that continues"
    else:
        text = f"returning clients renewed entries {times}{last}: it does not empty while they "
        text += "return"
    if row.gone_by_if_quiet is None:
        return f"{text}, not before {time_of_day(str(row.not_before), row.zone)}"
    wide = _wide(row.uncertainty_if_quiet_s)
    by = time_of_day(row.gone_by_if_quiet, row.zone)
    return f"{text}; if none comes again, gone by {by} ± {wide} s"


def _condition(row: Drain) -> str:
    if any(group.state == TEMPLATE for group in row.states):
        return "if no packet arrives and no client returns"
    return "if no packet arrives"


def _wide(uncertainty_s: float | None) -> str:
    """An uncertainty, rounded up: ± 0.0 s is never true."""
    return f"{math.ceil(10 * (uncertainty_s or 0.0) + 1e-9) / 10:.1f}"


def _held(row: Drain) -> str:
    states = ", ".join(f"{group.n} {group.state}" for group in row.states)
    n = "1 entry" if row.entries == 1 else f"{row.entries} entries"
    return f"{n} ({states})" if states else n


def _predicted(row: Drain) -> str:
    if row.gone_by is None:
        return ""
    return f", predicted {time_of_day(row.gone_by, row.zone)} ± {_wide(row.uncertainty_s)} s"
