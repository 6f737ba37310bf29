"""A Proof as the document of ``loadgen capacity-proof --json``.

Rates are in the size of the question; null is not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer import documents
from analyzer.capacity.proof.model import (
    TOLERANCE,
    Carried,
    MeasuredWindow,
    Proof,
    ProvenLoss,
    VipCount,
)
from analyzer.capacity.proof.wording import verdict
from analyzer.capacity.question import Lists
from analyzer.recording.ending import How
from analyzer.results import NotMeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedRow:
    """One director's traffic in one window; ``difference`` is a share of the computed."""

    director: str
    offered_gbps: float
    computed_gbps: float
    measured_gbps: float | None
    difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """From sent to received by a real server, milliseconds."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """One window's measurement; ``sent`` and ``lost`` are datagrams."""

    window_s: float
    agrees: bool
    directors: tuple[CarriedRow, ...]
    sent: int
    lost: int
    lost_share: float | None
    computed_lost_share: float
    delay_ms: Delay
    sender_late_max_ms: float | None
    vips: tuple[VipCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRow:
    """A loss of directors; the windows are null if the run ended before."""

    down: tuple[str, ...]
    before: WindowRow | None
    after: WindowRow | None
    away_s: Mapping[str, float]
    others_disturbed_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofDocument(documents.JsonDocument):
    """The measurement of a plan."""

    run: str
    verdict: str
    holds: bool
    ended: How | None
    tolerance: float
    hosts: int
    failures: int
    link_gbps: float
    ingress_gbps: float
    burst: float
    lab_scale: float
    vips: int
    priorities: Lists
    directors: tuple[str, ...]
    losses: tuple[LossRow, ...]
    worst_difference: float | None
    not_measured: tuple[NotMeasured, ...]


def to_json(proof: Proof) -> dict[str, Any]:
    """The document as plain values."""
    experiment, question = proof.experiment, proof.experiment.question
    document = ProofDocument(
        run=proof.run,
        verdict=verdict(proof),
        holds=proof.holds,
        ended=proof.ending.how if proof.ending else None,
        tolerance=TOLERANCE,
        hosts=question.hosts,
        failures=question.failures,
        link_gbps=float(question.link_bps / 10**9),
        ingress_gbps=float(question.ingress_bps / 10**9),
        burst=float(question.burst),
        lab_scale=experiment.scale,
        vips=len(experiment.vips),
        priorities=experiment.lists,
        directors=experiment.directors,
        losses=tuple(_loss(loss) for loss in proof.losses),
        worst_difference=proof.worst_difference,
        not_measured=tuple(NotMeasured(what=what, why=why) for what, why in proof.not_measured),
    )
    return documents.to_json(document)


def _loss(loss: ProvenLoss) -> LossRow:
    return LossRow(
        down=loss.down,
        before=_window(loss.before),
        after=_window(loss.after),
        away_s=loss.away_s,
        others_disturbed_s=loss.disturbed_s,
    )


def _window(window: MeasuredWindow | None) -> WindowRow | None:
    if window is None:
        return None
    return WindowRow(
        window_s=window.seconds,
        agrees=window.agrees,
        directors=tuple(_carried(carried) for carried in window.carried),
        sent=window.sent,
        lost=window.lost,
        lost_share=window.lost_share,
        computed_lost_share=window.computed_lost_share,
        delay_ms=Delay(p50=window.delay_p50_ms, p99=window.delay_p99_ms),
        sender_late_max_ms=window.worst_late_ms,
        vips=window.vips,
    )


def _carried(carried: Carried) -> CarriedRow:
    return CarriedRow(
        director=carried.director,
        offered_gbps=carried.offered_bps / 1e9,
        computed_gbps=carried.computed_bps / 1e9,
        measured_gbps=None if carried.measured_bps is None else carried.measured_bps / 1e9,
        difference=carried.difference,
    )
