"""Findings about the workers of a cluster that sent the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.recording.clock import iso
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.findings.figures import Figures
    from analyzer.recording.manifest.workers import WorkerFacts

START_S = 0.005
"""The workers' starts are said to agree within this."""

MOST_NAMED = 5

IN_WORDS: Mapping[str, str] = {
    "died": "its process or host ended",
    "stalled": "it did not answer",
    "scheduler": "the scheduler was lost or restarted",
    "crashed": "its engine crashed",
    "unasked": "nobody asked it for a minute, and it stopped",
    "unrecorded": "its disk took nothing more",
    "not gathered": "what it recorded could not be fetched",
}


def load_lost(figures: Figures) -> Finding | None:
    """A worker was lost, and with it a part of the load or of its record."""
    lost = [worker for worker in _workers(figures) if worker.why is not None]
    if not lost:
        return None
    share = sum(worker.share for worker in lost)
    many = "a worker" if len(lost) == 1 else f"{len(lost)} workers"
    more = [f"{len(lost) - MOST_NAMED} more workers"] if len(lost) > MOST_NAMED else []
    return Finding(
        id="load-lost",
        severity="problem",
        title=f"The run lost {many}, which had {share:.0%} of the load",
        evidence="; ".join([*map(sentence, lost[:MOST_NAMED]), *more])
        + ". Nothing was sent twice. Requests of the last second before a worker's last word may "
        "have been sent and not recorded; one that did not answer may have sent more.",
        advice="The figures are of the load that was recorded, which is less than was planned. "
        "See to the worker (memory, host, network), and run it again for the whole load.",
    )


def clocks_uncertain(figures: Figures) -> Finding | None:
    """The workers' clocks are not known well enough to compare their rows to milliseconds."""
    unsure = [worker for worker in _workers(figures) if worker.clock_uncertainty_s > START_S]
    if not unsure:
        return None
    worst = max(unsure, key=lambda worker: worker.clock_uncertainty_s)
    unsure_ms = worst.clock_uncertainty_s * 1e3
    return Finding(
        id="worker-clocks",
        severity="info",
        title=f"The workers' clocks are known only within {unsure_ms:,.0f} ms",
        evidence=f"The clock of {worst.name} is {worst.clock_offset_s * 1e3:,.1f} ± "
        f"{unsure_ms:,.1f} ms off this host's, by round trips through the "
        "scheduler before the start and after the end. Instants of different workers can be "
        "compared no better.",
        advice="A less loaded scheduler, or one nearer to its workers, answers faster, and the "
        "offset is known as well as the fastest round trip is short. In a run of hours clocks "
        "drift: NTP or PTP on the workers and on this host.",
    )


def lost_sentence(figures: Figures) -> list[str]:
    """For the verdict: how much of the plan was lost, and with how many workers."""
    workers = _workers(figures)
    lost = [worker for worker in workers if worker.why is not None]
    if not lost:
        return []
    who = f"{len(lost)} of {len(workers)} workers"
    planned = [worker.planned for worker in workers if worker.planned is not None]
    missing = [worker.lost for worker in lost if worker.lost is not None]
    if len(planned) < len(workers) or len(missing) < len(lost):
        return [f"{who} were lost, with {sum(worker.share for worker in lost):.0%} of the load"]
    return [f"{sum(missing):,} of {sum(planned):,} planned requests were lost with {who}"]


def sentence(worker: WorkerFacts) -> str:
    """``w2 was lost at 12:00:03.120Z (it did not answer): 1,020 of its 2,500 requests …``."""
    why = IN_WORDS.get(worker.why or "", "for a reason that is not known")
    when = "" if worker.lost_at_ns is None else f" at {iso(worker.lost_at_ns)}"
    if worker.planned is None or worker.lost is None:
        rest = f"{worker.sent:,} requests of its {worker.share:.0%} of the load are recorded"
    else:
        rest = f"{worker.lost:,} of its {worker.planned:,} requests are not in the recording"
    return f"{worker.name} was lost{when} ({why}): {rest}"


def _workers(figures: Figures) -> Sequence[WorkerFacts]:
    return figures.evidence.manifest.workers if figures.evidence else ()
