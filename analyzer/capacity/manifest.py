"""An experiment as it stands in a recording's manifest, below ``proof``."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from analyzer.capacity.proof import Experiment, Loss, prove
from analyzer.capacity.question import CapacityQuestion
from analyzer.capacity.queue import TokenBucket
from analyzer.errors import RecordingError
from analyzer.recording.ending import ending_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.capacity.proof import Proof, Window
    from analyzer.recording.directory import Recording

KEY = "proof"
"""Of the manifest; a run that has it is a proof of capacity."""


def is_proof(manifest: Mapping[str, Any]) -> bool:
    """Whether a recording is a proof of capacity."""
    return isinstance(manifest.get(KEY), dict)


def proof_of(recording: Recording) -> Proof:
    """What a recorded proof comes to.

    Raises:
        RecordingError: the manifest does not tell of one.
    """
    return prove(
        str(recording.path),
        from_manifest(recording.manifest),
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
        "losses": [_loss_told(loss) for loss in experiment.losses],
    }


def from_manifest(manifest: Mapping[str, Any]) -> Experiment:
    """The experiment that ``to_manifest`` told.

    Raises:
        RecordingError: something is missing, or is no value of its kind.
    """
    try:
        told = manifest[KEY]
        return Experiment(
            question=CapacityQuestion(
                hosts=int(told["hosts"]),
                failures=int(told["failures"]),
                link_bps=Fraction(told["link_bps"]),
                ingress_bps=Fraction(told["ingress_bps"]),
                burst=Fraction(told["burst"]),
            ),
            lists=tuple(tuple(map(int, order)) for order in told["lists"]),
            vips=tuple(map(str, told["vips"])),
            directors=tuple(map(str, told["directors"])),
            scale=float(told["scale"]),
            link=TokenBucket(**told["lab_link"]),
            planned=int(told["planned"]),
            losses=tuple(map(_loss, told["losses"])),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise RecordingError(f"run.json: {KEY}: not a proof of capacity: {error!r}") from error


def _loss_told(loss: Loss) -> dict[str, Any]:
    return {
        "down": list(loss.down),
        "before_ns": loss.before,
        "crashed_ns": loss.crashed_ns,
        "after_ns": loss.after,
    }


def _loss(told: Mapping[str, Any]) -> Loss:
    crashed_ns = told["crashed_ns"]
    return Loss(
        down=tuple(map(int, told["down"])),
        before=_window(told["before_ns"]),
        crashed_ns=None if crashed_ns is None else int(crashed_ns),
        after=_window(told["after_ns"]),
    )


def _window(told: Any) -> Window | None:
    if told is None:
        return None
    begin_ns, end_ns = told
    return int(begin_ns), int(end_ns)
