"""The page of a run in progress, and its updates.

The page is made once for each reader; its script then gets an update about every second: a JSON
document with the parts of the page that change and the charts' figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.charts import traffic
from reports.charts.figure import encoded
from reports.charts.panels import Panel, whole_numbers
from reports.charts.series import legend, series_of
from reports.run.page import render, render_blocks, script_json
from reports.run.section import Chart
from reports.run.sections import timeline
from reports.run.sections.entries import states

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Floats
    from analyzer.charts.values import StateSeries
    from analyzer.report import Timeline
    from analyzer.results import Finding
    from reports.charts.figure import Figure
    from reports.charts.wording import Headline
    from reports.run.section import DataTable

    Ints = npt.NDArray[np.int64]

TEMPLATE = "live.html"
PARTS = ("now", "legend", "events", "areas", "servers")
"""Blocks of the template that change during the run, each in an element with that id."""

SCRIPTS = ("page.js", "live.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """Requests ended, in bins of time.

    Attributes:
        edges_s: of the bins, shape (n + 1,), evenly spaced; seconds since the run's start.
        answered: in each bin, shape (n,); so ``failed``.
    """

    edges_s: Floats
    answered: Ints
    failed: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """The data of a run so far.

    Attributes:
        title: the run in a few words.
        clock: time of the data, as a time of day.
        timeline: polled counters and events; nothing is predicted.
        low_s: start of the time axis: older data are not kept for this page.
        requests: None if the run sends none.
        courses: entries by state of each polled director.
        headlines: the present numbers.
        findings: urgent ones, such as a lost director.
        servers: the real servers' present entries; None if no director is polled.
        note: what the table leaves out.
    """

    title: str
    clock: str
    timeline: Timeline
    low_s: float
    requests: RequestCounts | None
    courses: tuple[StateSeries, ...]
    headlines: tuple[Headline, ...]
    findings: tuple[Finding, ...]
    servers: DataTable | None
    note: str = ""


def live_page(run: LiveRun) -> str:
    """The page with the present data; it requests updates from its own URL and nothing else."""
    return render(TEMPLATE, _context(run), scripts=SCRIPTS, connect="'self'")


def news(run: LiveRun) -> str:
    """An update as one line of JSON: ``parts``, ``figures`` and ``captions``, by id."""
    context = _context(run)
    charts: tuple[Chart, ...] = context["charts"]
    return script_json(
        {
            "parts": render_blocks(TEMPLATE, context, PARTS),
            "figures": {chart.id: encoded(chart.figure) for chart in charts},
            "captions": {chart.id: chart.caption for chart in charts},
        }
    )


def _context(run: LiveRun) -> dict[str, Any]:
    courses = run.courses[: states.DIRECTORS]
    names = states.order(courses)
    charts = [Chart(id="timeline-chart", figure=_timeline(run), caption=_caption(run), clock="run")]
    if courses:
        figure = timeline.on_time_axis(states.panels(courses), run.timeline, *_span(run))
        caption = states.caption([course for course in courses if states.order([course])])
        charts.append(
            Chart(
                id="states-chart",
                figure=figure,
                caption=caption or "No entry has been polled so far.",
                clock="run",
            )
        )
    return {
        "run": run,
        "charts": tuple(charts),
        "legend": legend(series_of(run.timeline)),
        "states": [(name, *states.STATES.get(name, states.OTHER)) for name in names],
        "document": script_json({"run": run.title}),
    }


def _timeline(run: LiveRun) -> Figure:
    panels = timeline.counters(run.timeline, series_of(run.timeline))
    if run.requests is not None:
        panels.insert(0, _requests(run.requests))
    waiting = Panel(title="No data yet", height_px=84, traces=[], axis=whole_numbers(1))
    return timeline.on_time_axis(panels or [waiting], run.timeline, *_span(run))


def _requests(counts: RequestCounts) -> Panel:
    return traffic.request_bars(counts.edges_s, counts.answered, counts.failed)


def _span(run: LiveRun) -> tuple[float, float]:
    """The start and end of the time axis."""
    end_s = max(run.timeline.end_s, 1.0)
    margin_s = 0.015 * (end_s - run.low_s)
    return run.low_s - margin_s, end_s + margin_s


def _caption(run: LiveRun) -> str:
    sentences = [f"Up to {run.clock}, {run.timeline.end_s:.0f} s after the start."]
    if run.low_s:
        minutes = (run.timeline.end_s - run.low_s) / 60
        sentences.append(f"Counters of the last {minutes:.0f} minutes; the report has all of them.")
    peaks = [
        f"{int(np.max(curve.inactive, initial=0)):,} of {curve.real_server} on {curve.director}"
        for curve in run.timeline.observed
        if curve.inactive.any()
    ]
    if peaks:
        shown = ", ".join(peaks[:MOST_PEAKS])
        more = f" and {len(peaks) - MOST_PEAKS} more" if len(peaks) > MOST_PEAKS else ""
        sentences.append(f"InActConn was at most {shown}{more}.")
    return " ".join(sentences)


MOST_PEAKS = 6  # in a caption
