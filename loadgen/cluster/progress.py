"""What is known of each worker while a burst is on, and what the recording says of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analyzer.findings.workers import IN_WORDS
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgen.cluster.clocks import WorkerOffset
    from loadgen.cluster.crew import Member
    from loadgen.cluster.worker.messages import Pulse, Stopped
    from loadgen.load.engines.tally import Tally, TargetTally

Why = Literal["died", "stalled", "scheduler", "crashed", "unasked", "unrecorded", "not gathered"]


@dataclass(slots=True)
class WorkerProgress:
    """One worker.

    Attributes:
        folder: where it records.
        heard_ns: when it last answered, Unix ns.
        pulse: its last answer.
        lost_ns, why: since when it counts as lost, and why; None as long as it does not.
        gathered: requests that it sent, by the files of its part that are here; None before any.
        is_whole: all that it recorded is here.
        stopped: what it said at its end.
        offset: of its clock, once that has been compared again at the end.
    """

    member: Member
    folder: str = ""
    captures: bool = False
    heard_ns: int = field(default_factory=time.time_ns)
    pulse: Pulse | None = None
    lost_ns: int | None = None
    why: Why | None = None
    gathered: int | None = None
    is_whole: bool = False
    stopped: Stopped | None = None
    offset: WorkerOffset | None = None

    @property
    def name(self) -> str:
        """The worker's."""
        return self.member.worker.name

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.why is not None or (self.pulse is not None and self.pulse.sent)

    def hear(self, pulse: Pulse) -> None:
        """Take an answer."""
        self.heard_ns = time.time_ns()
        self.pulse = pulse

    def lose(self, why: Why) -> bool:
        """Count it as lost since its last answer; False if it did already."""
        if self.why is not None:
            return False
        self.lost_ns, self.why = self.heard_ns, why
        return True

    @property
    def line(self) -> str:
        """For the operator: who was lost, how far it was, why."""
        assert self.why is not None
        planned = self.member.share.requests
        of = "" if planned is None else f" of {planned:,}"
        ended = self.pulse.ended if self.pulse else 0
        part = f"{self.member.share.of_plan:.0%} of the load"
        return (
            f"worker {self.name} lost ({IN_WORDS[self.why]}) after {ended:,}{of} requests, "
            f"{part}; the run goes on without it, nothing is sent twice"
        )

    def manifest(self) -> dict[str, Any]:
        """Its row of ``workers`` in ``run.json``."""
        planned = self.member.share.requests
        offset = self.offset or self.member.offset
        sent = self.gathered or 0
        lost = None if planned is None else max(planned - sent, 0)
        return {
            "name": self.name,
            "host": self.member.host,
            "clock_offset_s": offset.offset_ns / NS_PER_S,
            "clock_uncertainty_s": offset.uncertainty_ns / NS_PER_S,
            "share": round(self.member.share.of_plan, 9),
            "planned": planned,
            "sources": list(self.member.share.sources),
            "sent": sent,
            "lost": lost if self.why else 0,
            "lost_at_ns": self.lost_ns,
            "why": self.why,
        }


def merge(tally: Tally, targets: TargetTally, pulses: Iterable[Pulse]) -> None:
    """Make a tally, and the one by target, the sum of what the workers have counted."""
    pulses = list(pulses)
    tally.ended = sum(pulse.ended for pulse in pulses)
    tally.latest_ns = max((pulse.latest_ns for pulse in pulses), default=0)
    tally.errors.clear()
    for pulse in pulses:
        tally.errors.update(pulse.errors)
    firsts = [pulse.first_ns for pulse in pulses if pulse.first_ns is not None]
    lasts = [pulse.last_ns for pulse in pulses if pulse.last_ns is not None]
    tally.first_ns, tally.last_ns = min(firsts, default=None), max(lasts, default=None)
    targets.ended[:] = sum(np.array(pulse.ended_by_target) for pulse in pulses)
    targets.failed[:] = sum(np.array(pulse.failed_by_target) for pulse in pulses)
