"""A Capacity as the JSON document of ``analyzer capacity --json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.capacity.question import PLAN_NAMES
from analyzer.capacity.wording import verdict

if TYPE_CHECKING:
    from fractions import Fraction

    from analyzer.capacity.question import Capacity, Plan, TableRow

SCHEMA_VERSION = 1


def to_json(capacity: Capacity) -> dict[str, Any]:
    """The document; loads are averages in Gbit/s, not rounded."""
    question = capacity.question
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict(capacity),
        "feasible": capacity.feasible,
        "why": capacity.why,
        "hosts": question.hosts,
        "failures": question.failures,
        "link_gbps": _gbps(question.link_bps),
        "ingress_gbps": _gbps(question.ingress_bps),
        "egress_gbps": _gbps(question.egress_bps),
        "utilisation": float(question.utilisation),
        "burst": float(question.burst),
        "plans": {name: _plan(capacity.plans[name]) for name in PLAN_NAMES},
        "without_plan": capacity.without_plan,
        "recommended": capacity.recommended,
        "table": [_row(row) for row in capacity.table],
        "by_shares": _shares(capacity),
        "ecmp": _ecmp(capacity),
    }


def _gbps(bps: Fraction) -> float:
    return float(bps / 10**9)


def _plan(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "vips": plan.vips,
        "worst_load_before_gbps": _gbps(plan.worst_before_bps),
        "worst_load_after_gbps": _gbps(plan.worst_after_bps),
        "priorities": [list(order) for order in plan.lists],
        "vips_held": list(plan.held),
        "proven": plan.proven,
        "fewest_proven": plan.fewest,
        "gap": float(plan.gap),
    }


def _row(row: TableRow) -> dict[str, Any]:
    plan = row.plan
    return {
        "vips": plan.vips,
        "vips_held": list(plan.held),
        "worst_load_before_gbps": _gbps(plan.worst_before_bps),
        "worst_load_after_gbps": _gbps(plan.worst_after_bps),
        "fits": row.fits,
        "why": row.why,
        "proven": plan.proven,
    }


def _shares(capacity: Capacity) -> dict[str, Any] | None:
    row = capacity.by_shares
    if row is None:
        return None
    document = _plan(row.plan) or {}
    document.pop("fewest_proven")
    shares = capacity.question.shares
    total = sum(shares)
    return document | {
        "shares": [float(share / total) for share in shares],
        "fits": row.fits,
        "why": row.why,
    }


def _ecmp(capacity: Capacity) -> dict[str, float] | None:
    if capacity.even_before_bps is None or capacity.even_after_bps is None:
        return None
    return {
        "load_before_gbps": _gbps(capacity.even_before_bps),
        "load_after_gbps": _gbps(capacity.even_after_bps),
    }
