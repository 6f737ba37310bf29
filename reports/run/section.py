"""The parts of the page as values: sections, charts and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reports.charts.figure import Figure

Cell = str | int | float | None  # None is shown as not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """The data of a chart as a table, also for readers who cannot see the chart.

    It should be short (some dozens of rows): a long curve is summarised by parts of its time.

    Attributes:
        columns: headings with their units; the first column names the row.
        rows: one cell for each column.
        note: what was summarised or left out.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure, its caption and its data.

    Attributes:
        id: its anchor on the page, ``timeline-chart``; never from a text of a recording.
        figure: None if there is nothing to draw; the caption then gives the reason.
        caption: one or a few sentences with the numbers.
        table: its data, shown on demand.
        clock: charts with the same clock zoom and pan together ("run": seconds since its start).
    """

    id: str
    figure: Figure | None
    caption: str
    table: DataTable | None = None
    clock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page.

    Attributes:
        id: its anchor; stable, because people link to it.
        title: its heading.
        summary: one sentence below the heading.
        charts: in the order of the page.
        template: the partial that shows it, with this Section as ``section``.
        facts: further values for the partial.
        shows: ids of the findings with evidence here; they link to ``anchor``.
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
        """The id of its evidence: its first drawn chart, else its heading."""
        return next((chart.id for chart in self.charts if chart.figure is not None), self.id)
