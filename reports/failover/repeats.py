"""Repeated fail-overs as a Document: their outages beside what the theory predicts."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from analyzer.failover.repeats import FITS_S, UNLIKELY
from reports.charts.wording import Headline, seconds
from reports.document.model import Column, Document, Labelled, Section, Table, Text
from reports.failover.repeats_chart import outages
from reports.run.section import Chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.failover.repeats import Repeats
    from analyzer.failover.results import Failover
    from reports.failover.repeats_chart import Points
    from reports.run.section import Cell

COLUMNS = (
    Column("run"),
    Column("outage, s", "outage", right=True),
    Column("predicted, s", "predicted", right=True),
    Column("seen less predicted, s", "less", right=True),
    Column("age, s", "age", right=True),
    Column("late", right=True),
    Column("failed", right=True),
    Column("reset", right=True),
    Column("way back, s", "way back", right=True),
)
THEORY = (
    "A master that dies in silence is replaced its backup's master_down_interval after its last "
    "advertisement, whose age at the fault is anything up to an interval: so the outages of many "
    "such faults are spread evenly. One that stops cleanly is replaced after the backup's skew."
)
MEANING = (
    "Age: of the old master's last advertisement, at the fault. Late: answered more than half a "
    "second after it was due. Reset: of the connections in flight. Way back: the longest time in "
    "which no connect got through when the fault was undone."
)


def repeats_document(
    summary: Repeats, runs: Sequence[Failover], *, where: str, pages: Mapping[int, str]
) -> Document:
    """The outages, each with its prediction; in the terminal the summary's sentence is last.

    Args:
        summary: of the runs.
        runs: in their order.
        where: their folder.
        pages: the page of a run by its number, from 1, as a link from this one.
    """
    title = "How long clients were out, against the theory"
    table = _table(summary, runs, pages)
    return Document(
        kind="repeats",
        origin=where,
        verdict=verdict(summary),
        large_until=": ",
        verdict_last=True,
        terminal_verdict=summary.sentence,
        json=asdict(summary),
        headlines=_headlines(summary, runs),
        sections=(
            Section("outages", title, (_chart(summary, runs), Text(THEORY)), only="page"),
            Section("runs", "The runs", (table, Text(MEANING, only="page"))),
        ),
    )


def _chart(summary: Repeats, runs: Sequence[Failover]) -> Chart:
    points = _points(runs)
    caption = _caption(summary) if points else "No run can be judged."
    figure = outages(summary, points) if points else None
    return Chart(id="repeats-chart", figure=figure, caption=caption)


def verdict(summary: Repeats) -> str:
    """The sentence that heads the page."""
    judged = summary.runs - len(summary.invalid)
    if summary.planned is not None and summary.runs < summary.planned:
        rest = verdict(replace(summary, planned=None))
        return f"Interrupted after {summary.runs} of {summary.planned} runs. {rest}"
    if not judged or summary.outage_mean_s is None:
        return f"None of {summary.runs} fail-overs can be judged"
    fitting, neither = judged - len(summary.misjudged), summary.fit_neither
    head = f"{fitting} of {judged} fail-overs lasted as long as their advertisements predict"
    if neither:
        numbers = ", ".join(map(str, neither))
        one = len(neither) == 1
        return f"{head}: {f'run {numbers} fits' if one else f'runs {numbers} fit'} neither"
    if summary.p_value is None:
        return head
    does = "contradict" if summary.p_value < UNLIKELY else "fit"
    return f"{head}: together they {does} an age of the last advertisement that is uniform"


def _headlines(summary: Repeats, runs: Sequence[Failover]) -> tuple[Headline, ...]:
    """How long clients were out, how far from the prediction, and whether the ages fit."""
    seen = [outage_s for _, outage_s, _ in _points(runs)]
    mean, worst = summary.outage_mean_s, summary.worst_error_s
    test = "too few runs, or a fault whose outage hangs on no age"
    if summary.p_value is not None and summary.apart_most is not None:
        test = f"p = {summary.p_value:.2g}; {summary.apart_most:.0%} would contradict it"
    return (
        Headline(
            "Clients were out for",
            None if mean is None else seconds(mean),
            f"on average; {_between(min(seen), max(seen))}" if seen else "",
        ),
        Headline(
            "Farthest from its own prediction",
            None if worst is None else f"{worst:+.3f} s".replace("-", "\N{MINUS SIGN}"),
            f"seen less predicted; ±{FITS_S:g} s is a fit",
            alarming=bool(summary.misjudged),
        ),
        Headline(
            "Off the uniform age by at most",
            None if summary.apart is None else f"{summary.apart:.0%}",
            test,
            alarming=summary.p_value is not None and summary.p_value < UNLIKELY,
        ),
    )


def _between(low_s: float, high_s: float) -> str:
    """``3.13 to 3.88 s``."""
    return f"{low_s:.2f} to {seconds(high_s)}"


def _caption(summary: Repeats) -> str:
    parts = ["Each mark is a run; the stairs are the share that was out for so long or less."]
    if summary.range_s is not None:
        low_s, high_s = summary.range_s
        parts.append(
            f"Dashed, the theory: any outage from {_between(low_s, high_s)} is as likely as "
            "another."
            if high_s > low_s
            else f"Dashed, the theory: {seconds(low_s)}, whatever the age."
        )
    if summary.apart_most is not None:
        parts.append(
            f"Of {1 / UNLIKELY:.0f} such rows of runs {1 / UNLIKELY - 1:.0f} stay in the grey band."
        )
    return " ".join(parts)


def _points(runs: Sequence[Failover]) -> Points:
    """Number, outage and outage less its own prediction of each run that can be judged."""
    return [
        (number, run.outage_s, _less(run))
        for number, run in enumerate(runs, start=1)
        if run.valid and run.outage_s is not None
    ]


def _less(run: Failover) -> float | None:
    if run.outage_s is None or run.predicted_outage_s is None:
        return None
    return run.outage_s - run.predicted_outage_s


def _table(summary: Repeats, runs: Sequence[Failover], pages: Mapping[int, str]) -> Table:
    """A row for each run; what is odd about one is a column if there is any."""
    remarks = [_remark(summary, number, run) for number, run in enumerate(runs, start=1)]
    rows = [
        (Labelled(f"{number}", href=pages.get(number, "")), *_row(run), remark)
        for number, (run, remark) in enumerate(zip(runs, remarks, strict=True), start=1)
    ]
    remark = Column("remark" if any(remarks) else "")
    return Table(columns=(*COLUMNS, remark), rows=rows)


def _row(run: Failover) -> tuple[Cell, ...]:
    less = _less(run)
    return (
        _three(run.outage_s),
        _three(run.predicted_outage_s),
        None if less is None else f"{less:+.3f}",
        _three(run.advert_age_s),
        run.late,
        run.failed,
        sum(kind.reset for kind in run.in_flight.values()),
        _three(run.failback.gap_s if run.failback else None),
    )


def _three(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _remark(summary: Repeats, number: int, run: Failover) -> str:
    if not run.valid:
        return f"invalid: {run.why_invalid}"
    if number in summary.fit_neither:
        return "fits neither its own prediction nor the theory's range"
    return f"more than {FITS_S:g} s from its own prediction" if number in summary.misjudged else ""
