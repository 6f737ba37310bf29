"""From counters alone: which timeouts explain the decay of InActConn.

For a log of ``ipvsadm -Ln`` and nothing else: no capture, no entries. A rise of the counter is
entries that came, a fall is entries that went. Each timeout says when the entries that came would
go; the mixture of timeouts whose falls add up to the observed ones is found by non-negative least
squares. One of them may be free (``tcpfin``): it is moved until the rest is least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.timers import granule_s
from analyzer.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LEAST_SHARE = 0.05
"""A component with less of the entries than this is noise."""

LEAST_EXPLAINED = 0.8
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
    """What the decay is made of; ``explained`` is the share of the falls that it accounts for."""

    components: tuple[Component, ...]
    explained: float
    arrived: int
    gone: int


def decompose(t_s: Floats, inactive: Ints, fixed_s: Sequence[float], hz: int) -> Mixture | None:
    """The mixture of timeouts behind a counter's falls; None if it never fell.

    Args:
        t_s: when the counter was polled; shape (n,).
        inactive: its values; shape (n,).
        fixed_s: the timeouts that the kernel fixes for inactive entries.
        hz: of the director; its granules blur the falls.
    """
    change = np.diff(inactive)
    rises, falls = np.maximum(change, 0), np.maximum(-change, 0)
    if not falls.any() or not rises.any():
        return None
    middle_s = (t_s[1:] + t_s[:-1]) / 2
    came_s, came = middle_s[rises > 0], rises[rises > 0].astype(np.float64)
    gone = np.cumsum(falls).astype(np.float64)
    poll_s = float(np.median(np.diff(t_s)))
    problem = _Problem(t_s[1:], came_s, came, gone, hz)
    free_s = _best_free(problem, fixed_s)
    mixture = _solve(problem, fixed_s, free_s, poll_s)
    return mixture if mixture.explained >= LEAST_EXPLAINED else None


@dataclass(frozen=True, slots=True)
class _Problem:
    """Entries that came, and how many had gone by each poll."""

    t_s: Floats
    came_s: Floats
    came: Floats
    gone: Floats
    hz: int

    def gone_under(self, timeout_s: float) -> Floats:
        """How many would have gone by each poll, the lateness spread evenly over a granule."""
        late_s = granule_s(timeout_s, self.hz)
        since_s = self.t_s[:, None] - (self.came_s + timeout_s)[None, :]
        share = np.clip(since_s / late_s, 0, 1)
        under: Floats = share @ self.came
        return under

    def rest(self, columns: Floats) -> tuple[Floats, float]:
        """Weights of the columns, none negative, and what they leave unexplained."""
        from scipy.optimize import nnls

        weights, rest = nnls(columns, self.gone)
        return weights, float(rest)


def _best_free(problem: _Problem, fixed_s: Sequence[float]) -> float:
    """The free timeout, in seconds, that with the fixed ones leaves least unexplained."""
    fixed = [problem.gone_under(value_s) for value_s in fixed_s]

    def rest_of(value_s: float) -> float:
        return problem.rest(np.column_stack([*fixed, problem.gone_under(value_s)]))[1]

    span_s = min(float(problem.t_s[-1] - problem.came_s[0]), _LONGEST_S)
    step_s = max(span_s / 400, _FINE_S)
    coarse = np.arange(step_s, span_s + step_s, step_s)
    best = float(coarse[np.argmin([rest_of(value_s) for value_s in coarse])])
    while step_s > _FINE_S:
        near = np.clip(best + np.linspace(-step_s, step_s, 9), _FINE_S, None)
        best = float(near[np.argmin([rest_of(value_s) for value_s in near])])
        step_s /= 4
    return best


def _solve(problem: _Problem, fixed_s: Sequence[float], free_s: float, poll_s: float) -> Mixture:
    """Weights of all components; a free one that sits on a fixed one is that one."""
    values = [*fixed_s, free_s]
    columns = np.column_stack([problem.gone_under(value_s) for value_s in values])
    weights, rest = problem.rest(columns)
    arrived = float(problem.came.sum())
    components = [
        Component(
            timeout_s=Estimate(
                value=value_s,
                uncertainty=poll_s
                + (granule_s(value_s, problem.hz) if index == len(fixed_s) else 0),
            ),
            is_free=index == len(fixed_s),
            n=float(weight) * arrived,
        )
        for index, (value_s, weight) in enumerate(zip(values, weights, strict=True))
        if weight >= LEAST_SHARE
    ]
    scale = float(np.linalg.norm(problem.gone)) or 1.0
    return Mixture(
        components=tuple(sorted(components, key=lambda part: -part.n)),
        explained=1 - rest / scale,
        arrived=int(arrived),
        gone=int(problem.gone[-1]),
    )
