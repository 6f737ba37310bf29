"""A Capacity as the document of ``analyzer capacity --json``: average loads, not rounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from analyzer import documents
from analyzer.capacity.question import PLAN_NAMES, Capacity, Lists, Plan, PlanName
from analyzer.capacity.wording import verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLists:
    """Per VIP its directors by priority, and the busiest director's load."""

    vips: int
    worst_load_before_gbps: float
    worst_load_after_gbps: float
    priorities: Lists
    vips_held: tuple[int, ...]
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow(PlanLists):
    """A plan for equal VIPs."""

    fewest_proven: bool
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesRow(PlanLists):
    """The best plan for VIPs of unequal shares of the traffic."""

    gap: float
    shares: tuple[float, ...]
    fits: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """The plans by name; null where none was found."""

    minimum: PlanRow | None
    all_active: PlanRow | None
    balanced: PlanRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRow:
    """The best plan for a number of VIPs, and whether it fits."""

    vips: int
    vips_held: tuple[int, ...]
    worst_load_before_gbps: float
    worst_load_after_gbps: float
    fits: bool
    why: str
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EvenLoad:
    """The load of each director if all carried the same."""

    load_before_gbps: float
    load_after_gbps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityDocument(documents.JsonDocument):
    """The planner's answer."""

    verdict: str
    feasible: bool
    why: str
    hosts: int
    failures: int
    link_gbps: float
    ingress_gbps: float
    egress_gbps: float
    utilisation: float
    burst: float
    plans: Plans
    without_plan: Mapping[PlanName, str]
    recommended: PlanName | None
    table: tuple[FitRow, ...]
    by_shares: SharesRow | None
    ecmp: EvenLoad | None


def to_json(capacity: Capacity) -> dict[str, Any]:
    """The document as plain values."""
    question, plans = capacity.question, capacity.plans
    document = CapacityDocument(
        verdict=verdict(capacity),
        feasible=capacity.feasible,
        why=capacity.why,
        hosts=question.hosts,
        failures=question.failures,
        link_gbps=_gbps(question.link_bps),
        ingress_gbps=_gbps(question.ingress_bps),
        egress_gbps=_gbps(question.egress_bps),
        utilisation=float(question.utilisation),
        burst=float(question.burst),
        plans=Plans(**{name: _plan(plans[name]) for name in PLAN_NAMES}),
        without_plan=capacity.without_plan,
        recommended=capacity.recommended,
        table=tuple(
            FitRow(fits=row.fits, why=row.why, **_carried(row.plan)) for row in capacity.table
        ),
        by_shares=_by_shares(capacity),
        ecmp=_ecmp(capacity),
    )
    return documents.to_json(document)


def _gbps(bps: Fraction) -> float:
    return float(bps / 10**9)


def _carried(plan: Plan) -> dict[str, Any]:
    """What every row says of its plan."""
    return {
        "vips": plan.vips,
        "vips_held": plan.held,
        "worst_load_before_gbps": _gbps(plan.worst_before_bps),
        "worst_load_after_gbps": _gbps(plan.worst_after_bps),
        "proven": plan.proven,
    }


def _lists(plan: Plan) -> dict[str, Any]:
    return {"priorities": plan.lists, "gap": float(plan.gap)} | _carried(plan)


def _plan(plan: Plan | None) -> PlanRow | None:
    return PlanRow(fewest_proven=plan.fewest, **_lists(plan)) if plan else None


def _by_shares(capacity: Capacity) -> SharesRow | None:
    row, shares = capacity.by_shares, capacity.question.shares
    if row is None:
        return None
    parts = tuple(float(share / sum(shares)) for share in shares)
    return SharesRow(shares=parts, fits=row.fits, why=row.why, **_lists(row.plan))


def _ecmp(capacity: Capacity) -> EvenLoad | None:
    before_bps, after_bps = capacity.even_before_bps, capacity.even_after_bps
    if before_bps is None or after_bps is None:
        return None
    return EvenLoad(load_before_gbps=_gbps(before_bps), load_after_gbps=_gbps(after_bps))
