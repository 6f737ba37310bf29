"""Fail-overs repeated, in words and rows: what their page and the terminal share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.failover.repeats import FITS_S, UNLIKELY
from reports.charts.wording import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.failover.repeats import Repeats
    from analyzer.failover.results import Failover

COLUMNS = (
    "run",
    "outage, s",
    "predicted, s",
    "seen less predicted, s",
    "age, s",
    "late",
    "failed",
    "reset",
    "way back, s",
)
SHORT = ("run", "outage", "predicted", "less", "age", "late", "failed", "reset", "way back")
"""The same in a terminal."""


def verdict(told: Repeats) -> str:
    """The sentence that heads the page."""
    judged = told.runs - len(told.invalid)
    if told.planned is not None and told.runs < told.planned:
        said = verdict(replace(told, planned=None))
        return f"Interrupted after {told.runs} of {told.planned} runs. {said}"
    if not judged or told.outage_mean_s is None:
        return f"None of {told.runs} fail-overs can be judged"
    fitting = judged - len(told.misjudged)
    parts = [f"{fitting} of {judged} fail-overs lasted as long as their advertisements predict"]
    if told.p_value is not None and not told.fit_neither:
        does = "contradict" if told.p_value < UNLIKELY else "fit"
        parts.append(f"together they {does} an age of the last advertisement that is uniform")
    if told.fit_neither:
        parts.append(f"{_runs(told.fit_neither)} {_fits(told.fit_neither)} neither")
    return ": ".join((parts[0], "; ".join(parts[1:]))) if parts[1:] else parts[0]


def _runs(numbers: Sequence[int]) -> str:
    said = ", ".join(map(str, numbers))
    return f"run {said}" if len(numbers) == 1 else f"runs {said}"


def _fits(numbers: Sequence[int]) -> str:
    return "fits" if len(numbers) == 1 else "fit"


def between(low_s: float, high_s: float) -> str:
    """``3.13 to 3.88 s``."""
    return f"{low_s:.2f} to {seconds(high_s)}"


def test(told: Repeats) -> str:
    """What became of the test of the ages."""
    if told.p_value is None or told.apart_most is None:
        return "too few runs, or a fault whose outage hangs on no age"
    return f"p = {told.p_value:.2g}; {told.apart_most:.0%} would contradict it"


def caption(told: Repeats) -> str:
    """The chart in words."""
    parts = ["Each mark is a run; the stairs are the share that was out for so long or less."]
    if told.range_s is not None:
        low_s, high_s = told.range_s
        parts.append(
            f"Dashed, the theory: any outage from {between(low_s, high_s)} is as likely as another."
            if high_s > low_s
            else f"Dashed, the theory: {seconds(low_s)}, whatever the age."
        )
    if told.apart_most is not None:
        parts.append(
            f"Of {1 / UNLIKELY:.0f} such rows of runs {1 / UNLIKELY - 1:.0f} stay in the grey band."
        )
    return " ".join(parts)


def points(runs: Sequence[Failover]) -> list[tuple[int, float, float | None]]:
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


def rows(runs: Sequence[Failover]) -> list[tuple[str | None, ...]]:
    """A row for each run, cells as ``COLUMNS`` has them; None is not measured."""
    return [
        (
            f"{number}",
            _three(run.outage_s),
            _three(run.predicted_outage_s),
            None if (less := _less(run)) is None else f"{less:+.3f}",
            _three(run.advert_age_s),
            f"{run.late}",
            f"{run.failed}",
            f"{sum(kind.reset for kind in run.in_flight.values())}",
            _three(run.failback.gap_s if run.failback else None),
        )
        for number, run in enumerate(runs, start=1)
    ]


def remarks(told: Repeats, runs: Sequence[Failover]) -> list[str]:
    """What is odd about each run; empty of one that is as it should be."""
    return [_remark(told, number, run) for number, run in enumerate(runs, start=1)]


def _remark(told: Repeats, number: int, run: Failover) -> str:
    if not run.valid:
        return f"invalid: {run.why_invalid}"
    if number in told.fit_neither:
        return "fits neither its own prediction nor the theory's range"
    return f"more than {FITS_S:g} s from its own prediction" if number in told.misjudged else ""


def _three(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def summary_lines(told: Repeats, runs: Sequence[Failover]) -> list[str]:
    """A row a run, and the sentence that judges them all."""
    shown = [tuple("-" if cell is None else cell for cell in row) for row in rows(runs)]
    widths = [max(map(len, column)) for column in zip(SHORT, *shown, strict=True)]
    lines = []
    for row, remark in zip((SHORT, *shown), ("", *remarks(told, runs)), strict=True):
        cells = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append(f"{'  '.join(cells)}  {remark}".rstrip())
    return [*lines, "", told.sentence]
