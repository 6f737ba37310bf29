"""A Proof as the JSON document of ``loadgen capacity-proof --json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.capacity.proof import TOLERANCE
from analyzer.capacity.proof_wording import verdict

if TYPE_CHECKING:
    from analyzer.capacity.proof import Carried, Proof, ProofState, ProvenLoss

SCHEMA_VERSION = 1


def to_json(proof: Proof) -> dict[str, Any]:
    """The document; rates are in the size of the question, null where not measured."""
    experiment, question = proof.experiment, proof.experiment.question
    return {
        "schema_version": SCHEMA_VERSION,
        "run": proof.run,
        "verdict": verdict(proof),
        "holds": proof.holds,
        "ended": proof.ending.how if proof.ending else None,
        "tolerance": TOLERANCE,
        "hosts": question.hosts,
        "failures": question.failures,
        "link_gbps": float(question.link_bps / 10**9),
        "ingress_gbps": float(question.ingress_bps / 10**9),
        "burst": float(question.burst),
        "lab_scale": experiment.scale,
        "vips": len(experiment.vips),
        "priorities": [list(order) for order in experiment.lists],
        "directors": list(experiment.directors),
        "losses": [_loss(loss) for loss in proof.losses],
        "worst_difference": proof.worst_difference,
        "not_measured": [{"what": what, "why": why} for what, why in proof.not_measured],
    }


def _loss(loss: ProvenLoss) -> dict[str, Any]:
    return {
        "down": list(loss.down),
        "before": _state(loss.before),
        "after": _state(loss.after),
        "away_s": dict(loss.away_s),
        "others_disturbed_s": loss.disturbed_s,
    }


def _state(state: ProofState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "window_s": state.seconds,
        "agrees": state.agrees,
        "directors": [_carried(carried) for carried in state.carried],
        "sent": state.sent,
        "lost": state.lost,
        "lost_share": state.lost_share,
        "computed_lost_share": state.computed_lost_share,
        "delay_ms": {"p50": state.delay_p50_ms, "p99": state.delay_p99_ms},
        "sender_late_max_ms": state.worst_late_ms,
        "vips": [
            {"vip": vip.vip, "director": vip.director, "sent": vip.sent, "lost": vip.lost}
            for vip in state.vips
        ],
    }


def _carried(carried: Carried) -> dict[str, Any]:
    measured_gbps = None if carried.measured_bps is None else carried.measured_bps / 1e9
    return {
        "director": carried.director,
        "offered_gbps": carried.offered_bps / 1e9,
        "computed_gbps": carried.computed_bps / 1e9,
        "measured_gbps": measured_gbps,
        "difference": carried.difference,
    }
