"""The section on the targets of a load at several: requests, latency, and the service's peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.samples import carries_quantile
from analyzer.ipvs.addresses import host_port
from reports.charts.wording import milliseconds, plural
from reports.run.percentiles import TOO_FEW_CELL
from reports.run.section import DataTable, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.client.results import TargetFigures
    from analyzer.report import Analysis
    from reports.run.section import Cell

TITLE = "By VIP"
_COLUMNS = ("target", "requests", "succeeded", "failed", "median, ms", "p99, ms")
_QUANTILES = (("p50", 0.5), ("p99", 0.99))


def section(analysis: Analysis) -> Section | None:
    """A row for each target; None of a load at one."""
    if not analysis.targets:
        return None
    failed = [row for row in analysis.targets if row.failed]
    summary = f"{plural(len(analysis.targets), 'target')} took turns"
    if failed:
        summary += f"; requests failed at {len(failed)} of them"
    return Section(
        id="targets",
        title=TITLE,
        summary=f"{summary}.",
        template="sections/targets.html",
        facts={"table": table(analysis)},
    )


def table(analysis: Analysis) -> DataTable:
    """A row for each target; each director's peaks are the highest counts polled of its service."""
    directors = sorted(
        {peak.director for row in analysis.targets for peak in row.peaks if peak.director}
    )
    counts = (f"{count} on {name}" for name in directors for count in ("ActiveConn", "InActConn"))
    return DataTable(
        columns=(*_COLUMNS, *counts),
        rows=[
            (
                _name(row),
                row.sent,
                row.succeeded,
                row.failed,
                *_latency(row),
                *_peaks(row, directors),
            )
            for row in analysis.targets
        ],
    )


def _name(row: TargetFigures) -> str:
    protocol = "" if row.protocol == "TCP" else f"{row.protocol} "
    return f"{protocol}{host_port(row.vip, row.port)}"


def _latency(row: TargetFigures) -> Iterator[Cell]:
    for name, quantile in _QUANTILES:
        if row.total_ms is None:
            yield None
        elif not carries_quantile(quantile, row.succeeded):
            yield TOO_FEW_CELL
        else:
            yield milliseconds(getattr(row.total_ms, name))


def _peaks(row: TargetFigures, directors: list[str]) -> Iterator[Cell]:
    held = {peak.director: peak for peak in row.peaks}
    for name in directors:
        peak = held.get(name)
        yield from (None, None) if peak is None else (peak.active, peak.inactive)
