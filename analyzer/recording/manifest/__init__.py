"""``run.json`` as types. It is decoded and checked here, at once, and nowhere else.

A key that is missing or null is not known. A key that no type has stays in ``Manifest.raw`` and
harms nobody: recordings are older and newer than this program, and people write into them. A value
of another type, or beyond what it can be, is one error of one line that names the key and what was
expected there. It never shows the value: nobody knows who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Any

import msgspec

from analyzer.errors import RecordingError
from analyzer.recording.log_clock import LogClock
from analyzer.recording.manifest.bounds import (
    MAX_SERVICES,
    MAX_TEXT,
    Count,
    Instant,
    Seconds,
)
from analyzer.recording.manifest.director import DirectorFacts
from analyzer.recording.manifest.experiments import FailoverFacts, ProofFacts
from analyzer.recording.manifest.load import Plan, Service
from analyzer.recording.manifest.workers import WorkerFacts
from analyzer.results import NotMeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where the program ran."""

    name: str | None = None
    kernel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """How packets were captured; ``dropped`` is what the kernel counted as missed."""

    dropped: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a recording was made of that no run of ours wrote."""

    log_clock: LogClock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What ``--keep`` left of a long watch; ``from_ns`` is None while nothing was deleted."""

    limit: str | None = None
    from_ns: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a recording says of itself.

    Attributes:
        service: that load was sent to; None of several, and of a watch.
        services: that load was sent to, where they were several.
        raw: all of ``run.json``, also what no type here names.
        ended: how the run ended, as ``analyzer.recording.ending`` reads it; None where it was cut
            off.
        planned_s: how long a watch was to last.
        workers: of the cluster that sent the load; empty where this host did.
        not_measured: what the run itself knows that it did not measure.
    """

    command: str | None = None
    command_line: tuple[str, ...] | None = None
    started_at_ns: Instant | None = None
    ended_at_ns: Instant | None = None
    planned_s: Seconds | None = None
    ended: str | None = None
    host: Host = Host()
    lab: str | None = None
    service: Service | None = None
    services: Annotated[tuple[Service, ...], msgspec.Meta(max_length=MAX_SERVICES)] = ()
    forwarding: str | None = None
    plan: Plan = field(default_factory=Plan)
    directors: Mapping[str, DirectorFacts] = field(default_factory=dict)
    capture: Capture = Capture()
    imported: Imported = Imported()
    kept: Kept = Kept()
    workers: tuple[WorkerFacts, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    failover: FailoverFacts | None = None
    proof: ProofFacts | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


def manifest_of(document: object, where: str = "run.json") -> Manifest:
    """Decode and check.

    Args:
        document: of ``run.json``, as JSON gives it.
        where: its path, for the error.

    Raises:
        RecordingError: a value is not what its key means.
    """
    try:
        raw = _with_short_texts(without_surrogates(document))
        known = _without_nulls(raw)
        if isinstance(known, dict):
            known["raw"] = raw
        return msgspec.convert(known, Manifest, dec_hook=_fraction)
    except msgspec.ValidationError as error:
        raise RecordingError(f"{where}: {_in_words(error)}") from None
    except RecursionError:
        raise RecordingError(f"{where}: expected a JSON object of some levels") from None


def without_surrogates(value: Any) -> Any:
    """A document of JSON, each half of a character, which no file can hold, replaced by ``?``."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return (
        [without_surrogates(item) for item in value] if isinstance(value, list | tuple) else value
    )


def _with_short_texts(value: Any) -> Any:
    """Texts cut as those of the tables are, so that both still name the same."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, Mapping):
        return {key[:MAX_TEXT]: _with_short_texts(item) for key, item in value.items()}
    return [_with_short_texts(item) for item in value] if isinstance(value, list) else value


def _without_nulls(value: Any) -> Any:
    """Null is what a missing key is; in a list it is a value."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _fraction(kind: type, value: Any) -> Fraction:
    """``1000000000`` or ``5/2``; positive."""
    assert kind is Fraction
    if not isinstance(value, str) or not re.fullmatch(r"0*[1-9]\d{0,20}(/0*[1-9]\d{0,20})?", value):
        raise ValueError("Expected a positive fraction")
    return Fraction(value)


def _in_words(error: msgspec.ValidationError) -> str:
    """``directors[...].hz: expected int, got str``."""
    what, _, where = str(error).replace("`", "").partition(" - at ")
    what = what[:1].lower() + what[1:]
    place = where.removeprefix("$").removeprefix(".")
    return f"{place}: {what}" if place else what
