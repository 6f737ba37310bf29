"""What a fail-over is asked to do besides sending load, and the schedule that this takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadgen.load.plan import OpenModel, Stage

if TYPE_CHECKING:
    from loadgen.failover.faults import Fault
    from loadgen.failover.held_connections import Paths
    from loadgen.failover.phases import Timing
    from loadgen.load.plan import LoadPlan

LONGEST_WAIT_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverOptions:
    """What is done besides the load.

    Attributes:
        fault: to be done and undone; None to wait for one.
        timing: of the course.
        paths: of the connections in flight; None for none.
        exercise: two bursts, before and after, in place of the steady load.
        runs: how many there are to be in a row.
    """

    fault: Fault | None
    timing: Timing
    paths: Paths | None
    exercise: bool = False
    runs: int = 1

    @property
    def where(self) -> str | None:
        """The host that is to fail; None where that is not known."""
        return self.fault.where if self.fault is not None else None


def open_model(rate_per_s: float) -> OpenModel:
    """A steady rate; how long is for the course to say."""
    return OpenModel(stages=(Stage(duration_s=1.0, rate_per_s=rate_per_s),))


def scheduled(plan: LoadPlan, options: FailoverOptions) -> LoadPlan:
    """The plan with a schedule as long as the course; one that waits ends earlier."""
    assert isinstance(plan.arrivals, OpenModel)
    timing, fault = options.timing, options.fault
    undoing_s = fault.undoing_s if fault is not None and fault.undoable else 0.0
    whole_s = timing.before_s + timing.after_s + undoing_s + timing.tail_s
    stage = replace(
        plan.arrivals.stages[0], duration_s=LONGEST_WAIT_S if fault is None else whole_s
    )
    return replace(plan, arrivals=replace(plan.arrivals, stages=(stage,)))
