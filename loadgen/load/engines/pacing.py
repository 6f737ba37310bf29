"""When requests are due: pure functions of the plan.

The k-th arrival stands where the stages have called for k arrivals: at the instant at which the
rate, summed up over time, reaches k. Poisson arrivals are the same with sums of exponential
variates instead of k, so that a stage's rate is its mean rate.
"""

from __future__ import annotations

import random
from itertools import accumulate, count, islice, repeat, takewhile
from typing import TYPE_CHECKING

from loadgen.load.plan import end_of_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadgen.load.plan import OpenModel, Stage


def due_times_s(model: OpenModel) -> Iterator[float]:
    """Seconds from the beginning of the burst, ascending, one for each request."""
    steps: Iterable[float] = count()
    if model.arrivals == "poisson":
        chance = random.Random(model.seed)  # noqa: S311 - to be repeated, not to be secret
        steps = accumulate(chance.expovariate(1) for _ in repeat(None))
    return islice(_instants(model.stages, steps), model.requests)


def share_of(times: Iterable[float], index: int, of: int) -> Iterator[tuple[int, float]]:
    """One worker's part of a schedule: every ``of``-th request, with its number."""
    return islice(enumerate(times), index, None, of)


def length_s(model: OpenModel) -> float:
    """How long the schedule is."""
    return sum(stage.duration_s for stage in model.stages)


def _instants(stages: Sequence[Stage], called_for: Iterable[float]) -> Iterator[float]:
    """Where the summed-up rate of the stages reaches each of the ascending values."""
    begins_s = list(accumulate((stage.duration_s for stage in stages), initial=0.0))
    sums = list(accumulate((s.duration_s * s.rate_per_s for s in stages), initial=0.0))
    place = 0
    end = end_of_schedule(stages)
    for value in takewhile(lambda value: value < end, called_for):
        while sums[place + 1] <= value:
            place += 1
        yield begins_s[place] + (value - sums[place]) / stages[place].rate_per_s
