"""What one run of a folder measured, by the document of its analysis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analyzer.client.samples import carries_quantile, carries_rate
from analyzer.errors import RecordingError
from analyzer.recording.ending import ending_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.recording.manifest import Manifest

Unit = Literal["s", "ms", "/s", ""]

_LATENCIES = ("connect", "first_byte", "total")
_POINTS = {"p50": 0.5, "p99": 0.99}
_MOST_STATES = 16
_OF_A_WHOLE_LOAD = frozenset({"inactive_peak", "failed", "late", "rate_per_s"})
"""Quantities that a run with an interrupted load does not measure as others do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One quantity of one run.

    Attributes:
        open: its uncertainty; 0 where it is exact or its uncertainty is not known.
        whole: the number that a count is out of; None if it is no such count.
    """

    value: float
    unit: Unit
    open: float = 0.0
    whole: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run of the folder, as it is printed."""

    name: str
    started_at_ns: int  # Unix time
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run of the folder, and what it measured.

    Attributes:
        load: what was sent, in one text that is equal for equal loads.
    """

    row: RunRow
    load: str
    values: Mapping[str, Value]


def past_run(name: str, manifest: Manifest, document: Mapping[str, Any]) -> PastRun:
    """A run from its manifest and the document of its analysis.

    Raises:
        RecordingError: the document is not an analysis.
    """
    try:
        return PastRun(
            row=RunRow(
                name=name,
                started_at_ns=manifest.started_at_ns or 0,
                verdict=str(document["verdict"]),
            ),
            load=json.dumps(manifest.raw.get("plan"), sort_keys=True, default=str),
            values=_kept(dict(_values(document)), manifest, document),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"{name}: its analysis is not one: {error!r}") from error


def _kept(
    values: Mapping[str, Value], manifest: Manifest, document: Mapping[str, Any]
) -> dict[str, Value]:
    """The values that can be compared with other runs of the same load."""
    if ending_of(manifest, int(document["requests"]["sent"])).load_is_whole:
        return dict(values)
    return {name: value for name, value in values.items() if name not in _OF_A_WHOLE_LOAD}


def _values(document: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    yield from _timeouts(document["lifetimes"])
    for row in document["peaks"]:
        if row["director"] is None:
            yield "inactive_peak", Value(value=float(row["inactive"]), unit="")
    requests = document["requests"]
    sent = int(requests["sent"])
    if not sent:
        return
    for name in ("failed", "late"):
        yield name, Value(value=float(requests[name]), unit="", whole=sent)
    if requests["rate_per_s"] is not None and carries_rate(sent, requests["duration_s"]):
        yield "rate_per_s", Value(value=float(requests["rate_per_s"]), unit="/s")
    for stage in _LATENCIES:
        points = _POINTS if requests[f"{stage}_ms"] else {}
        n = min(sent, requests.get("connections") or sent) if stage == "connect" else sent
        for point in (name for name, share in points.items() if carries_quantile(share, n)):
            yield f"{stage}_{point}", Value(value=float(requests[f"{stage}_ms"][point]), unit="ms")


def _timeouts(lifetimes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Value]]:
    """The timeouts by state, from the group with the most expiries."""
    largest: dict[str, Mapping[str, Any]] = {}
    for row in lifetimes:
        other = largest.get(row["state"])
        if row.get("timeout_measured_s") and (
            other is None or row["n_expired"] > other["n_expired"]
        ):
            largest[row["state"]] = row
    for state, row in list(largest.items())[:_MOST_STATES]:
        measured = row["timeout_measured_s"]
        value, uncertainty = float(measured["value"]), float(measured["uncertainty"])
        yield f"timeout({state})", Value(value=value, unit="s", open=uncertainty)
