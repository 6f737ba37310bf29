"""An experiment as it stands in a recording's manifest, below ``proof``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.capacity.proof.model import Experiment, Loss
from analyzer.capacity.proof.prove import prove
from analyzer.capacity.question import CapacityQuestion
from analyzer.capacity.queue import TokenBucket
from analyzer.errors import RecordingError
from analyzer.recording.ending import ending_of

if TYPE_CHECKING:
    from analyzer.capacity.proof.model import Proof
    from analyzer.recording.directory import Recording
    from analyzer.recording.manifest.experiments import LossFacts, ProofFacts

KEY = "proof"
"""Key in the manifest; a run that has it is a proof of capacity."""


def proof_of(recording: Recording) -> Proof:
    """What a recorded proof comes to.

    Raises:
        RecordingError: the recording is of no proof.
    """
    facts = recording.manifest.proof
    if facts is None:
        raise RecordingError(f"{recording.path}: not a proof of capacity")
    return prove(
        str(recording.path),
        from_manifest(facts),
        recording.table("links"),
        recording.table("datagrams"),
        ending_of(recording.manifest),
    )


def to_manifest(experiment: Experiment) -> dict[str, Any]:
    """Plain values; ``from_manifest`` is the way back."""
    question = experiment.question
    return {
        "hosts": question.hosts,
        "failures": question.failures,
        "link_bps": str(question.link_bps),
        "ingress_bps": str(question.ingress_bps),
        "burst": str(question.burst),
        "lists": [list(order) for order in experiment.lists],
        "vips": list(experiment.vips),
        "directors": list(experiment.directors),
        "scale": experiment.scale,
        "lab_link": {
            "rate_bps": experiment.link.rate_bps,
            "bucket_bytes": experiment.link.bucket_bytes,
            "queue_bytes": experiment.link.queue_bytes,
        },
        "planned": experiment.planned,
        "losses": [_loss_to_manifest(loss) for loss in experiment.losses],
    }


def from_manifest(facts: ProofFacts) -> Experiment:
    """The experiment that ``to_manifest`` wrote."""
    link = facts.lab_link
    return Experiment(
        question=CapacityQuestion(
            hosts=facts.hosts,
            failures=facts.failures,
            link_bps=facts.link_bps,
            ingress_bps=facts.ingress_bps,
            burst=facts.burst,
        ),
        lists=facts.lists,
        vips=facts.vips,
        directors=facts.directors,
        scale=facts.scale,
        link=TokenBucket(
            rate_bps=link.rate_bps, bucket_bytes=link.bucket_bytes, queue_bytes=link.queue_bytes
        ),
        planned=facts.planned,
        losses=tuple(map(_loss, facts.losses)),
    )


def _loss_to_manifest(loss: Loss) -> dict[str, Any]:
    return {
        "down": list(loss.down),
        "before_ns": loss.before,
        "crashed_ns": loss.crashed_ns,
        "after_ns": loss.after,
    }


def _loss(facts: LossFacts) -> Loss:
    return Loss(
        down=facts.down,
        before=facts.before_ns,
        crashed_ns=facts.crashed_ns,
        after=facts.after_ns,
    )
