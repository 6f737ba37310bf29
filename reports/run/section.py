"""A section of the page: a title, one sentence, charts with their data, and the template."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import plotly.graph_objects as go

Cell = str | int | float | None  # None is said to be not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """What a chart shows, as a table for those who cannot or will not look at it.

    Keep it short (some dozens of rows): a long curve is summed up by parts of its time.

    Attributes:
        columns: headings with their units; the first column names the row.
        rows: one cell for each column.
        note: what was summed up or left out.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure, the sentence that says the same in words, and its data.

    Attributes:
        id: its anchor on the page, ``timeline-chart``; never made from a text of a recording.
        figure: None where there is nothing to draw; the caption then says why.
        caption: one or a few sentences with the numbers.
        table: its data; offered below it.
        clock: charts of the same clock zoom and pan together ("run": seconds since its start).
    """

    id: str
    figure: go.Figure | None
    caption: str
    table: DataTable | None = None
    clock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page.

    Attributes:
        id: its anchor; stable, because people link to it.
        title: its heading.
        summary: one sentence that stands under the heading.
        charts: in the order of the page.
        template: the partial that shows it; it finds this Section as ``section``.
        facts: what else the partial needs.
        shows: ids of the findings whose evidence is here; they link to ``anchor``.
    """

    id: str
    title: str
    summary: str = ""
    charts: tuple[Chart, ...] = ()
    template: str = "sections/charts.html"
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    shows: frozenset[str] = frozenset()

    @property
    def anchor(self) -> str:
        """Where its evidence stands: its first drawn chart, else its heading."""
        return next((chart.id for chart in self.charts if chart.figure is not None), self.id)
