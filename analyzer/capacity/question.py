"""The question to the planner of VIPs, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

MAX_VIPS = 255
"""A virtual_router_id is 1 to 255 on a segment (RFC 5798, section 5.2.3): one instance a VIP."""

PlanName = Literal["minimum", "all_active", "balanced"]
PLAN_NAMES: tuple[PlanName, ...] = ("minimum", "all_active", "balanced")
Lists = tuple[tuple[int, ...], ...]
"""For each VIP all directors, first choice first; directors count from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityQuestion:
    """Equal directors, each with one link, and the incoming traffic.

    Attributes:
        hosts: directors.
        failures: how many may be down at once.
        link_bps: of one director, in one direction.
        ingress_bps: what the clients send, on average.
        egress_bps: the responses, which pass the directors too in nat; 0 in dr.
        utilisation: the share of a link that may be used.
        burst: the highest rate over the average.
        shares: of the traffic per VIP, if unequal; any positive weights.
    """

    hosts: int
    failures: int
    link_bps: Fraction
    ingress_bps: Fraction
    egress_bps: Fraction = Fraction(0)
    utilisation: Fraction = Fraction(1)
    burst: Fraction = Fraction(1)
    shares: tuple[Fraction, ...] = ()

    @property
    def traffic_bps(self) -> Fraction:
        """Average traffic in one direction of all directors' links together."""
        return self.ingress_bps + self.egress_bps

    @property
    def allowed_bps(self) -> Fraction:
        """The highest average load of one link whose bursts still fit."""
        return self.link_bps * self.utilisation / self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Fail-over lists, and the loads that follow from them.

    Attributes:
        lists: per VIP, its directors.
        held: VIPs per director while all are well.
        worst_before_bps: the busiest director's average load while all are well.
        worst_after_bps: likewise after the worst loss of ``failures`` directors.
        after_at_least_bps: no lists for these VIPs carry less after it; equal to
            ``worst_after_bps`` where the plan is proven best.
        proven: no lists for these VIPs do better, neither after the losses nor, then, before.
        fewest: it is proven that fewer VIPs do not suffice.
    """

    lists: Lists
    held: tuple[int, ...]
    worst_before_bps: Fraction
    worst_after_bps: Fraction
    after_at_least_bps: Fraction
    proven: bool
    fewest: bool = True

    @property
    def vips(self) -> int:
        """The number of VIPs."""
        return len(self.lists)

    @property
    def gap(self) -> Fraction:
        """How far the load after the losses may be above the best, as a ratio."""
        return (self.worst_after_bps - self.after_at_least_bps) / self.worst_after_bps


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """The best plan for a number of VIPs, whether it fits the limit, and why."""

    plan: Plan
    fits: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The planner's answer.

    Attributes:
        why: it is feasible or not, in a sentence.
        plans: by name; None if not found within ``MAX_VIPS``.
        without_plan: why a plan is None.
        by_shares: the best plan for VIPs of the given shares.
        even_after_bps: the load of each remaining director if it were even (as by ECMP).
    """

    question: CapacityQuestion
    feasible: bool
    why: str
    plans: dict[PlanName, Plan | None]
    without_plan: dict[PlanName, str]
    recommended: PlanName | None
    table: tuple[TableRow, ...]
    by_shares: TableRow | None
    even_before_bps: Fraction | None
    even_after_bps: Fraction | None
