"""The workers of a cluster that sent a burst, as ``run.json`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from analyzer.recording.manifest.bounds import Count, Instant, Seconds, SecondsEitherWay


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """One worker.

    Attributes:
        host: its name, as the worker says.
        clock_offset_s: the worker's clock less the client's, before the start.
        clock_uncertainty_s: the most that this may be wrong by, up to the end of the run.
        share: its part of the load, from 0 to 1.
        planned: requests that it was to send; null where time or chance decides.
        sent: requests begun, by the rows that it recorded and that are in the recording.
        lost: of the planned ones, those that are not; null where it was lost and ``planned`` is.
        lost_at_ns: its last word, Unix ns; null of a worker that was not lost.
        why: ``died``, ``stalled``, ``scheduler``, ``crashed``, ``unasked``, ``unrecorded`` or
            ``not gathered``; null of a worker that was not lost.
    """

    name: str
    host: str | None = None
    clock_offset_s: SecondsEitherWay = 0
    clock_uncertainty_s: Seconds = 0
    share: Annotated[float, Meta(ge=0, le=1)] = 0
    planned: Count | None = None
    sent: Count = 0
    lost: Count | None = None
    lost_at_ns: Instant | None = None
    why: str | None = None
