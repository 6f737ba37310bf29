"""What is known of a run that is on, as the values that its page draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import ACTIVE_STATES
from analyzer.report import Timeline
from analyzer.results import Finding
from analyzer.units import NS_PER_S
from loadgen.live.table import DETAILS, NUMBERS, clock, rows, span
from reports.charts.wording import Headline
from reports.live.page import LiveRun
from reports.run.section import DataTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.results import Event
    from loadgen.live.rates import RequestRates
    from loadgen.live.recent_polls import RecentPolls
    from loadgen.live.view import DirectorView, View
    from loadgen.load.engines.tally import Tally

ROWS = 200
ERRORS = 3
COLUMNS = ("real server", "director", "service", *NUMBERS, *DETAILS)
_ACTIVE = frozenset(state.name for state in ACTIVE_STATES) | {"TEMPLATE"}
_NOTHING = np.empty(0, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A burst that is on.

    Attributes:
        planned: how many requests; None until time is up.
    """

    tally: Tally
    rates: RequestRates
    planned: int | None


def live_run(
    title: str,
    view: View,
    seen: Sequence[RecentPolls],
    events: Sequence[Event],
    sending: Sending | None,
    now_s: float,
) -> LiveRun:
    """All of it at one instant.

    Args:
        title: what is on.
        view: what the directors hold, as last seen.
        seen: their late polls.
        events: of the recording, the last ones.
        sending: None where nothing is sent.
        now_s: since the run's start.
    """
    curves = [curve for polled in seen for curve in polled.curves()]
    low_s = min((float(curve.t_s[0]) for curve in curves), default=0.0)
    low_s = low_s if low_s > _LATE_S else 0.0
    table, left_out = _table(view)
    return LiveRun(
        title=title,
        clock=clock(view.at_ns) if view.at_ns else "now",
        timeline=Timeline(
            zero_ns=0,
            end_s=now_s,
            request_ended_s=_NOTHING,
            request_failed=np.empty(0, np.bool_),
            connect_ms=_NOTHING,
            first_byte_ms=_NOTHING,
            total_ms=_NOTHING,
            marks={},
            observed=tuple(curves),
            predicted=(),
            events=tuple(event for event in events if event.t_s >= low_s),
            peaks=(),
        ),
        low_s=low_s,
        requests=sending.rates.counts() if sending else None,
        courses=tuple(polled.course() for polled in seen),
        headlines=tuple(_headlines(view, seen, sending, now_s)),
        findings=tuple(map(_lost, (polled for polled in view.directors if not polled.up))),
        servers=table,
        note=f"{left_out:,} more rows are not shown." if left_out else "",
    )


_LATE_S = 60.0
"""A first poll after this is not the run's first: older ones are not kept."""


def _headlines(
    view: View, seen: Sequence[RecentPolls], sending: Sending | None, now_s: float
) -> Iterable[Headline]:
    if sending is not None:
        yield _sent(sending, now_s)
    yield _counted(view, "active")
    yield _counted(view, "inactive", _peaks(seen))
    yield _falls(view)


def _sent(sending: Sending, now_s: float) -> Headline:
    tally = sending.tally
    detail = [f"of {sending.planned:,} planned" if sending.planned else "until time is up"]
    if of_late := sending.rates.now_per_s(now_s):
        detail.append(f"{of_late[0]:,.0f} a second over the last {of_late[1]:.0f} s")
    if tally.failed:
        most = (f"{n:,} {text}" for text, n in tally.errors.most_common(ERRORS))
        detail.append(f"{tally.failed:,} failed: {', '.join(most)}")
    else:
        detail.append("none failed")
    return Headline(
        label="Requests ended",
        value=f"{tally.ended:,}",
        detail="; ".join(detail),
        alarming=bool(tally.failed),
    )


def _counted(view: View, count: str, more: str = "") -> Headline:
    label = f"{'ActiveConn' if count == 'active' else 'InActConn'} now"
    alive = {
        director.name: sum(getattr(server, count) for server in director.servers)
        for director in view.directors
        if director.up
    }
    if not alive:
        why = "no director answers" if view.directors else "no director is polled"
        return Headline(label=label, value=None, detail=why)
    by_director = ", ".join(f"{n:,} on {name}" for name, n in alive.items())
    lost = [director.name for director in view.directors if not director.up]
    left_out = f"; not counted: {', '.join(lost)}" if lost else ""
    return Headline(
        label=label, value=f"{sum(alive.values()):,}", detail=by_director + more + left_out
    )


def _peaks(seen: Sequence[RecentPolls]) -> str:
    peaks = [f"{polled.peak:,} on {polled.director}" for polled in seen if polled.peak]
    return f"; at most so far {', '.join(peaks)}" if peaks else ""


def _falls(view: View) -> Headline:
    """When entries that are inactive go, by their timers as last read; packets may renew them."""
    label = "InActConn will fall"
    alive = [director for director in view.directors if director.up]
    blind = [director.name for director in alive if not director.reads_entries]
    if not alive or blind:
        where = f"entries are not read on {', '.join(blind)}" if blind else "no director answers"
        return Headline(label=label, value=None, detail=where)
    ends_ns = [
        ends
        for director in alive
        for server in director.servers
        if server.held is not None
        for state, ends in server.held.ends_ns.items()
        if state not in _ACTIVE
    ]
    if not ends_ns:
        return Headline(label=label, value="\N{EN DASH}", detail="no entry is inactive")
    first_s, last_s = (
        max(at - view.at_ns, 0) / NS_PER_S
        for at in (min(first for first, _ in ends_ns), max(last for _, last in ends_ns))
    )
    return Headline(
        label=label,
        value=f"in {span(first_s)}" if first_s >= 1 else "now",
        detail=f"the last of them goes in about {span(last_s)}, by the timers as last read, if no "
        "packet comes",
    )


def _lost(director: DirectorView) -> Finding:
    since = "It has not answered yet"
    if director.polled_ns is not None:
        since = f"Its last answer was at {clock(director.polled_ns)}"
    return Finding(
        id="director-lost",
        severity="problem",
        title=f"{director.name} is lost",
        evidence=f"{since}: what it holds now is not known.",
        advice="",
    )


def _table(view: View) -> tuple[DataTable | None, int]:
    """The terminal's table, and how many of its rows are left out."""
    if not view.directors:
        return None, 0
    cells_of_rows: list[tuple[str, ...]] = []
    for director in view.directors:
        for cells in rows(director, view.at_ns):
            name, service, *more = cells
            filled = more or ["", *[""] * len(NUMBERS + DETAILS)]
            cells_of_rows.append((filled[0] or "\N{EN DASH}", name, service, *filled[1:]))
    return DataTable(columns=COLUMNS, rows=cells_of_rows[:ROWS]), max(len(cells_of_rows) - ROWS, 0)
