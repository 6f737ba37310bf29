"""The manifest's ``failover``: what was done, and whether the set-up was sane before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverManifest:
    """What the run knows of its fault; instants are Unix ns, None where nobody ordered anything.

    Attributes:
        fault: in words, such as ``bal01: link-down``; None where the run waited for one.
        ordered_ns, done_ns: the fault came between these.
        course_s: how long it was to go on from the fault; None where that is not known.
        runs_planned: of the row of repeated runs; None where that is not known.
        probed: load was sent on schedule all the while, so that gaps in it mean something.
        why_insane: what was wrong with the set-up before the fault, or with the fault.
    """

    fault: str | None
    ordered_ns: int | None
    done_ns: int | None
    undo_ordered_ns: int | None
    course_s: float | None
    runs_planned: int | None
    probed: bool
    why_insane: tuple[str, ...]


def failover_manifest(manifest: Mapping[str, Any]) -> FailoverManifest | None:
    """Read it; None of a run that was no fail-over.

    Raises:
        RecordingError: it is not what a recorder writes.
    """
    said = manifest.get("failover")
    if said is None:
        return None
    try:
        return FailoverManifest(
            fault=None if said.get("fault") is None else str(said["fault"]),
            ordered_ns=_instant(said.get("ordered_ns")),
            done_ns=_instant(said.get("done_ns")),
            undo_ordered_ns=_instant(said.get("undo_ordered_ns")),
            course_s=_course_s(said.get("after_s"), said.get("tail_s")),
            runs_planned=_instant(said.get("runs_planned")),
            probed=bool(said.get("probed", True)),
            why_insane=tuple(map(str, said.get("why_insane") or ())),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise RecordingError(f"run.json: failover: {type(error).__name__}: {error}") from error


def _instant(value: Any) -> int | None:
    return None if value is None else int(value)


def _course_s(*parts: Any) -> float | None:
    return None if None in parts else sum(map(float, parts))
