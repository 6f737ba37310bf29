"""A Comparison as a Document: curves of all runs over each other, and what differs."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from analyzer.across_runs.compare import number
from analyzer.across_runs.difference import changed
from analyzer.across_runs.document import to_json
from reports.across_runs.comparison_charts import counters, latencies
from reports.charts.wording import listed
from reports.document.model import Column, Document, Facts, Labelled, Section, Table, Text, columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.across_runs.compare import Comparison
    from analyzer.across_runs.difference import Difference
    from reports.document.model import Block
    from reports.run.section import Cell

JUDGEMENTS: Mapping[str, str] = {
    "alike": "none shown",
    "higher": "▲ higher",
    "lower": "▼ lower",
    "unknown": "not known",
}
MEANING = (
    "“Between” is where the difference lies: for timeouts the sum of both uncertainties, for "
    "latencies a 99 % interval; counts are exact, and their judgement says how likely chance makes "
    "such a difference. “None shown” means that the difference may be within its tolerance; how "
    "large it may still be stands in “between”."
)


def comparison_document(comparison: Comparison, pages: Mapping[str, str] | None = None) -> Document:
    """The charts, and each run after the first against it; the terminal has the verdict last.

    Args:
        comparison: the answer.
        pages: URL of a run's own page by its name.
    """
    first, *others = [run.name for run in comparison.runs]
    drawn = [chart for chart in (counters(comparison), latencies(comparison)) if chart]
    nothing = Text("Nothing to draw: no run polled a director or sent a request.", note=False)
    pairs = [
        (f"{name} against {first}", differences)
        for name, differences in zip(others, comparison.against_first, strict=True)
    ]
    tables, known = [_table(*pair) for pair in pairs], [_known(*pair) for pair in pairs]
    verdicts = [
        (Labelled(run.name, href=(pages or {}).get(run.name, "")), run.analysis.verdict)
        for run in comparison.runs
    ]
    over = "Over each other, from the first request of each"
    sections = (
        Section("courses", over, drawn or [nothing], only="page"),
        Section("differences", "What differs", [*tables, Text(MEANING)], only="page"),
        Section("known", "What differs", [*chain(*known)], only="terminal"),
        Section("settings", "What was set otherwise", [_settings(comparison)], only="page"),
        Section("verdicts", "Each run by itself", [Facts(verdicts)], only="page"),
    )
    return Document(
        kind="comparison",
        origin=" · ".join((first, *others)),
        verdict=comparison.verdict,
        verdict_last=True,
        large_until=". ",
        json=to_json(comparison),
        sections=sections,
    )


def _table(title: str, differences: Sequence[Difference]) -> Table:
    """One row for each quantity, those that differ first."""
    first = changed(differences)
    rows = [*first, *(row for row in differences if row not in first)]
    shown = (
        *columns("quantity", "before", "after", "difference", right=True),
        Column("between", ""),
        Column("judgement"),
        Column("by", ""),
    )
    return Table(title=title, columns=shown, rows=[_row(row) for row in rows], style="wide")


def _known(title: str, differences: Sequence[Difference]) -> list[Block]:
    """What could be judged as a table, and the names of the rest."""
    known = [row for row in differences if row.verdict != "unknown"]
    unknown = [row.quantity for row in differences if row.verdict == "unknown"]
    rest: list[Block] = [Text(f"not known: {listed(unknown)}")] if unknown else []
    return [_table(title, known), *rest]


def _row(row: Difference) -> tuple[Cell, ...]:
    return (
        row.quantity,
        None if row.before is None else number(row.before, row.unit),
        None if row.after is None else number(row.after, row.unit),
        None if row.difference is None else _signed(row.difference, row.unit),
        _between(row),
        JUDGEMENTS[row.verdict],
        row.by,
    )


def _signed(value: float, unit: str) -> str:
    """A difference with its sign."""
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{number(abs(value), unit)}"


def _between(row: Difference) -> str | None:
    if row.low is None or row.high is None:
        return None
    if row.low == row.high:
        return "exact"
    return f"{_signed(row.low, row.unit)} and {_signed(row.high, row.unit)}"


def _settings(comparison: Comparison) -> Block:
    names = [run.name for run in comparison.runs]
    rows = [(row.what, *(value or "none" for value in row.values)) for row in comparison.settings]
    if not rows:
        return Text("Nothing that the recordings tell of.", note=False)
    return Table(columns=columns("setting", *names), rows=rows, style="wide")
