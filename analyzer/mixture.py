"""From counters alone: which timeouts explain the decay of InActConn.

For a log of ``ipvsadm -Ln`` and nothing else: no capture, no entries. A rise of the counter is
entries that came, a fall is entries that went. Each timeout says when the entries that came would
go; the mixture of timeouts whose falls add up to the observed ones is found by non-negative least
squares. One of them may be free (``tcpfin``): it is moved until the rest is least.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import KNOWN_HZ, granule_s
from analyzer.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LEAST_SHARE = 0.05
"""A component with less of the entries than this is noise."""

LEAST_EXPLAINED = 0.9
"""Of the entries, on average over the decay; below it no mixture is claimed."""

_AS_GOOD = 1.25
"""A simpler mixture stands if it leaves at most this many times what the best leaves."""

_LONGEST_S = 4000.0
_FINE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One timeout in the mixture: how many entries waited it; its value, known or estimated."""

    timeout_s: Estimate
    is_free: bool  # not one of the timeouts that are fixed in the kernel
    n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """What the decay is made of.

    Attributes:
        explained: the share of the entries that it accounts for.
        came_over_s: how long entries were seen to come. Where that is about the timeout or more,
            the counter cannot tell the load's length from the timeout: it stood still between.
    """

    components: tuple[Component, ...]
    explained: float
    arrived: int
    gone: int
    came_over_s: float
    hz: int


def decompose(
    t_s: Floats, inactive: Ints, fixed_s: Sequence[float], hz: int | None
) -> Mixture | None:
    """The mixture of timeouts behind a counter's falls; None if none explains them.

    Args:
        t_s: when the counter was polled, ascending; shape (n,), n >= 2.
        inactive: its values; shape (n,).
        fixed_s: the timeouts that the kernel fixes for inactive entries.
        hz: of the director, whose granules blur the falls; where not known, the one that fits.
    """
    change = np.diff(inactive)
    if not (change > 0).any() or not (change < 0).any():
        return None
    found = [
        fitted
        for candidate in (KNOWN_HZ if hz is None else (hz,))
        if (fitted := _fit(_Problem.of(t_s, change, candidate), fixed_s))
    ]
    best = min(found, key=lambda fitted: fitted[0], default=None)
    return best[1] if best else None


@dataclass(frozen=True, slots=True)
class _Problem:
    """Entries that came, and how many had gone by each poll."""

    t_s: Floats
    came_s: Floats
    came: Floats
    gone: Floats
    hz: int
    poll_s: float

    @classmethod
    def of(cls, t_s: Floats, change: Ints, hz: int) -> _Problem:
        """From a counter's polls and what changed between them."""
        middle_s = (t_s[1:] + t_s[:-1]) / 2
        rose = change > 0
        return cls(
            t_s=t_s[1:],
            came_s=middle_s[rose],
            came=change[rose].astype(np.float64),
            gone=np.cumsum(np.maximum(-change, 0)).astype(np.float64),
            hz=hz,
            poll_s=float(np.median(np.diff(t_s))),
        )

    def gone_under(self, timeout_s: float) -> Floats:
        """How many would have gone by each poll, the lateness spread evenly over a granule."""
        late_s = granule_s(timeout_s, self.hz)
        since_s = self.t_s[:, None] - (self.came_s + timeout_s)[None, :]
        under: Floats = np.clip(since_s / late_s, 0, 1) @ self.came
        return under

    def bounds(self, timeout_s: float) -> tuple[Floats, Floats]:
        """The fewest and the most that can have gone by each poll, whatever the phase."""
        widest_s = self.poll_s
        due_s = self.came_s + timeout_s
        late_s = granule_s(timeout_s, self.hz)
        fewest = (self.t_s[:, None] >= (due_s + late_s + widest_s)[None, :]) @ self.came
        most = (self.t_s[:, None] >= (due_s - widest_s)[None, :]) @ self.came
        return fewest, most

    def weights(self, values_s: Sequence[float]) -> tuple[Floats, float]:
        """How the entries share these timeouts, none negative; and what that leaves."""
        from scipy.optimize import nnls

        columns = np.column_stack([self.gone_under(value_s) for value_s in values_s])
        weights, rest = nnls(columns, self.gone)
        return weights, float(rest)


def _fit(problem: _Problem, fixed_s: Sequence[float]) -> tuple[float, Mixture] | None:
    """The simplest mixture that leaves about as little as the best; what it leaves, and itself."""
    free_s = _best_free(problem, fixed_s)
    models = [model for size in (1, 2, 3) for model in combinations((*fixed_s, free_s), size)]
    solved = [(model, *problem.weights(model)) for model in models]
    least = min(rest for _, _, rest in solved)
    bar = least * _AS_GOOD + 0.5 * float(np.sqrt(len(problem.t_s)))
    model, weights, rest = next(row for row in solved if row[2] <= bar)
    explained = _explained(problem, model, weights)
    if explained < LEAST_EXPLAINED:
        return None
    each = float(problem.gone[-1]) / float(weights.sum())
    components = [
        Component(
            timeout_s=Estimate(
                value=value_s, uncertainty=problem.poll_s + granule_s(value_s, problem.hz)
            ),
            is_free=value_s == free_s,
            n=float(weight) * each,
        )
        for value_s, weight in zip(model, weights, strict=True)
        if weight >= LEAST_SHARE
    ]
    ordered = tuple(sorted(components, key=lambda part: -part.n))
    return rest, Mixture(
        components=ordered,
        explained=explained,
        arrived=int(problem.came.sum()),
        gone=int(problem.gone[-1]),
        came_over_s=float(problem.came_s[-1] - problem.came_s[0]),
        hz=problem.hz,
    )


def _explained(problem: _Problem, model: Sequence[float], weights: Floats) -> float:
    """One less the mean share of the entries that went when no phase of the timers allows it."""
    bounds = [problem.bounds(value_s) for value_s in model]
    fewest = sum(weight * low for weight, (low, _) in zip(weights, bounds, strict=True))
    most = sum(weight * high for weight, (_, high) in zip(weights, bounds, strict=True))
    off = np.maximum(np.maximum(problem.gone - most, fewest - problem.gone) - 1, 0)
    decaying = (np.asarray(most) > 0) | (problem.gone > 0)
    if not decaying.any():
        return 0.0
    return 1 - float(off[decaying].mean()) / float(problem.came.sum())


def _best_free(problem: _Problem, fixed_s: Sequence[float]) -> float:
    """The free timeout, in seconds, that with the fixed ones leaves least unexplained."""

    def rest_of(value_s: float) -> float:
        return problem.weights((*fixed_s, value_s))[1] + problem.weights((value_s,))[1] / 10

    span_s = min(float(problem.t_s[-1] - problem.came_s[0]), _LONGEST_S)
    step_s = max(span_s / 400, _FINE_S)
    coarse = np.arange(step_s, span_s + step_s, step_s)
    best = float(coarse[np.argmin([rest_of(value_s) for value_s in coarse])])
    while step_s > _FINE_S:
        near = np.clip(best + np.linspace(-step_s, step_s, 9), _FINE_S, None)
        best = float(near[np.argmin([rest_of(value_s) for value_s in near])])
        step_s /= 4
    return best
