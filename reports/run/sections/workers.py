"""The section on the workers of a cluster that sent the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.findings.workers import IN_WORDS
from analyzer.recording.clock import iso
from reports.charts.wording import plural
from reports.run.section import Chart, DataTable, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.recording.manifest.workers import WorkerFacts
    from analyzer.report import Analysis

COLUMNS = (
    "worker",
    "host",
    "share of the load",
    "requests planned",
    "sent and recorded",
    "lost",
    "last word of a lost one",
    "why",
    "clock less ours, ms",
    "±, ms",
)

SHOWS = frozenset({"load-lost", "worker-clocks"})


def section(analysis: Analysis) -> Section | None:
    """Each worker's share and what became of it; None of a load that one host sent."""
    if not analysis.workers:
        return None
    return Section(
        id="workers",
        title="The workers that sent the load",
        summary="Every request has its worker as host in requests/. Instants are on the clock of "
        "the host that ran the command.",
        charts=(
            Chart(
                id="workers-table",
                figure=None,
                caption=f"{sentence(analysis)}.",
                table=_table(analysis.workers),
                clock="run",
            ),
        ),
        shows=SHOWS,
    )


def sentence(analysis: Analysis) -> str:
    """How many sent, and how much was lost, without a full stop."""
    workers = analysis.workers
    many = f"{plural(len(workers), 'worker')} sent the load"
    lost = [worker for worker in workers if worker.why is not None]
    if not lost:
        return many
    counts = [worker.lost for worker in lost]
    known = sum(count for count in counts if count is not None)
    how_many = plural(known, "request") if None not in counts else "a part that is not known"
    share = sum(worker.share for worker in lost)
    return f"{many}; {len(lost)} with {share:.0%} of it did not end well: {how_many} lost"


def _table(workers: Sequence[WorkerFacts]) -> DataTable:
    return DataTable(
        columns=COLUMNS,
        rows=[
            (
                worker.name,
                worker.host or "",
                round(worker.share, 4),
                worker.planned,
                worker.sent,
                worker.lost,
                None if worker.lost_at_ns is None else iso(worker.lost_at_ns),
                None if worker.why is None else IN_WORDS.get(worker.why, "not known"),
                round(worker.clock_offset_s * 1e3, 3),
                round(worker.clock_uncertainty_s * 1e3, 3),
            )
            for worker in workers
        ],
    )
