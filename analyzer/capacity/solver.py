"""The solver for the best fail-over lists: an integer program over the flow of ``lattice.py``.

HiGHS (scipy.optimize.milp) minimises the busiest director's load after the worst loss, then its
load without losses, and then maximises that of the idlest. As directors are equal, they are
ordered by their load without losses, so that the solver need not try their permutations. Loads are
whole numbers of the shares' common unit, so that the answers are exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import ceil, lcm
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from analyzer.capacity.lattice import lists_of, step_count, steps, subsets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.arrays import Floats
    from analyzer.capacity.lattice import Step
    from analyzer.capacity.question import Lists

MAX_VARIABLES = 20_000
_AFTER, _BEFORE, _IDLEST = range(3)
_LOADS = 3
_NEARLY = 1e-4  # of the solver's own arithmetic; loads are whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The best lists, in the order of the given shares.

    Attributes:
        after_at_least: proven lower bound of the busiest director's share after the worst loss.
        proven: the lists are the best after, and then before, the losses.
    """

    lists: Lists
    after_at_least: Fraction
    proven: bool


class TooLarge(Exception):
    """The program would have more than ``MAX_VARIABLES`` variables."""


def best_lists(
    shares: Sequence[Fraction],
    hosts: int,
    failures: int,
    *,
    all_active: bool,
    left_s: Callable[[], float],
) -> Solution | None:
    """The lists with the lowest worst load after the failures, then before.

    Args:
        shares: of the traffic, a VIP each; they add up to 1.
        hosts: directors.
        failures: below ``hosts``.
        all_active: every director carries at least one VIP while all are well.
        left_s: the remaining time, read before each step; without any the best found counts.

    Returns:
        None if there are none, or none were found in time.

    Raises:
        TooLarge: beyond ``MAX_VARIABLES``.
    """
    groups = Counter(shares)
    if step_count(hosts, failures) * len(groups) > MAX_VARIABLES:
        raise TooLarge
    program = _Program(groups, hosts, failures, all_active=all_active)
    after = program.solve(left_s(), _AFTER)
    if after is None:
        return None
    before = program.solve(left_s(), _BEFORE, after_at_most=after.load)
    idlest = before and program.solve(
        left_s(), _IDLEST, after_at_most=after.load, before_at_most=before.load
    )
    return Solution(
        lists=program.lists((idlest or before or after).x, shares),
        after_at_least=program.share(after.at_least),
        proven=after.proven and before is not None and before.proven,
    )


@dataclass(frozen=True, slots=True)
class _Solved:
    """Values of the columns; the optimised load, and its lower bound."""

    x: Floats
    load: int
    at_least: int

    @property
    def proven(self) -> bool:
        return self.load <= self.at_least


class _Program:
    """The integer program. Columns: VIPs per group of equal shares and step; the three loads."""

    def __init__(
        self, groups: Mapping[Fraction, int], hosts: int, failures: int, *, all_active: bool
    ) -> None:
        self._groups = dict(groups)
        self._unit = lcm(*(share.denominator for share in groups))
        self._weight = {share: int(share * self._unit) for share in groups}
        self._hosts, self._failures = hosts, failures
        self._steps = list(steps(hosts, failures))
        self._column = {
            (share, step): number
            for number, (share, step) in enumerate(
                (share, step) for share in self._groups for step in self._steps
            )
        }
        self._vips = len(self._column)
        self._rows: list[Mapping[int, float]] = []
        self._least: list[float] = []
        self._most: list[float] = []
        self._constrain_flow()
        self._constrain_loads()
        if all_active:
            for director in range(hosts):
                self._constrain(self._load_without_loss(director, weigh=False), 1, np.inf)

    def solve(
        self,
        limit_s: float,
        which: int,
        after_at_most: int | None = None,
        before_at_most: int | None = None,
    ) -> _Solved | None:
        """Minimise one of the loads, or maximise the idlest; None if nothing was found."""
        if limit_s <= 0:
            return None
        cost = np.zeros(self._vips + _LOADS)
        cost[self._vips + which] = -1 if which == _IDLEST else 1
        result = milp(
            cost,
            constraints=LinearConstraint(self._matrix(), self._least, self._most),
            integrality=np.ones(self._vips + _LOADS, dtype=np.int64),
            bounds=self._bounds(after_at_most, before_at_most),
            options={"time_limit": limit_s, "mip_rel_gap": 0},
        )
        if result.x is None:
            return None
        load = round(result.x[self._vips + which])
        proven = result.mip_dual_bound is None
        return _Solved(result.x, load, load if proven else ceil(result.mip_dual_bound - _NEARLY))

    def share(self, load: int) -> Fraction:
        """A load as a share of the traffic."""
        return Fraction(load, self._unit)

    def lists(self, x: Floats, shares: Sequence[Fraction]) -> Lists:
        """The solution's lists, assigned to the VIPs of their share."""
        by_share = {share: iter(self._lists_of(x, share)) for share in self._groups}
        return tuple(next(by_share[share]) for share in shares)

    def _lists_of(self, x: Floats, share: Fraction) -> Lists:
        flow = {step: round(x[self._column[share, step]]) for step in self._steps}
        return lists_of(flow, self._hosts, self._failures)

    def _constrain(self, row: Mapping[int, float], least: float, most: float) -> None:
        self._rows.append(row)
        self._least.append(least)
        self._most.append(most)

    def _constrain_flow(self) -> None:
        """Constrain the flow: each group's VIPs start empty; what enters a set leaves it."""
        nobody: frozenset[int] = frozenset()
        for share, vips in self._groups.items():
            out = {self._column[share, (nobody, d)]: 1.0 for d in range(self._hosts)}
            self._constrain(out, vips, vips)
            for size in range(1, self._failures + 1):
                for chosen in subsets(self._hosts, size):
                    self._constrain(self._through(share, chosen), 0, 0)

    def _through(self, share: Fraction, chosen: frozenset[int]) -> dict[int, float]:
        out = [(chosen, d) for d in range(self._hosts) if d not in chosen]
        into = [(chosen - {d}, d) for d in chosen]
        return {self._column[share, step]: 1.0 for step in out} | {
            self._column[share, step]: -1.0 for step in into
        }

    def _constrain_loads(self) -> None:
        for down in subsets(self._hosts, self._failures):
            for director in sorted(frozenset(range(self._hosts)) - down):
                load = self._load(director, down)
                self._constrain(load | {self._vips + _AFTER: -1.0}, -np.inf, 0)
        for director in range(self._hosts):
            load = self._load_without_loss(director)
            self._constrain(load | {self._vips + _BEFORE: -1.0}, -np.inf, 0)
            self._constrain(load | {self._vips + _IDLEST: -1.0}, 0, np.inf)
        for director in range(self._hosts - 1):
            less = {column: -load for column, load in self._load_without_loss(director + 1).items()}
            self._constrain(self._load_without_loss(director) | less, 0, np.inf)

    def _load(self, director: int, down: frozenset[int]) -> dict[int, float]:
        """A director's load while some are down, as columns."""
        return {
            self._column[share, (before, director)]: float(self._weight[share])
            for share in self._groups
            for size in range(len(down) + 1)
            for before in map(frozenset, combinations(sorted(down), size))
        }

    def _load_without_loss(self, director: int, *, weigh: bool = True) -> dict[int, float]:
        step: Step = (frozenset(), director)
        return {
            self._column[share, step]: float(self._weight[share]) if weigh else 1.0
            for share in self._groups
        }

    def _bounds(self, after_at_most: int | None, before_at_most: int | None) -> Bounds:
        most = [vips for vips in self._groups.values() for _ in self._steps]
        after, before = self._lowest(self._failures), self._lowest(0)
        return Bounds(
            np.r_[np.zeros(self._vips), after, before, 0],
            np.r_[
                most,
                after_at_most or self._unit,
                before_at_most or self._unit,
                self._unit // self._hosts,
            ],
        )

    def _lowest(self, down: int) -> int:
        """The least possible load of the busiest director with ``down`` directors down."""
        return max(*self._weight.values(), -(-self._unit // (self._hosts - down)))

    def _matrix(self) -> csr_array:
        entries = [
            (row, column, value)
            for row, columns in enumerate(self._rows)
            for column, value in columns.items()
        ]
        rows, columns, values = zip(*entries, strict=True)
        shape = (len(self._rows), self._vips + _LOADS)
        return csr_array((values, (rows, columns)), shape=shape)
