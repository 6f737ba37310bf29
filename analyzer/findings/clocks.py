"""Findings about the clock of an imported log: its zone, and its place beside a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.log_clock.place import EXACT_S
from analyzer.recording.clock import iso
from analyzer.results import Finding
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.findings.figures import Figures
    from analyzer.recording.log_clock import LogClock

_MINUTE_S = 60.0
_HOUR_S = 3600.0
_LEFT_OUT = "the capture was left out, because its clock cannot be compared with the log's"


def log_clock(figures: Figures) -> Finding | None:
    """The log's clock is not the capture's, is not known, or could not be checked."""
    said = figures.log_clock
    if said is None:
        return None
    if said.joined is None:
        return _zone_unknown(said, figures) if not said.is_utc else None
    if not said.joined:
        return Finding(
            id="log-clock",
            severity="warning",
            title="The capture was left out: log and capture cannot be put on one clock",
            evidence=f"{said.why[0].upper()}{said.why[1:]}. This report rests on the log only.",
            advice=_ADVICE,
        )
    if not _differs(said) and (said.confirmed or said.resolution_s <= EXACT_S):
        return _zone_read(said) if said.utc_offset_s and said.zone else None
    return Finding(
        id="log-clock",
        severity="info" if said.confirmed else "warning",
        title="The log's clock was aligned with the capture's by matching events"
        if said.confirmed
        else "Log and capture are joined by the log's timestamps, which no events confirm",
        evidence=f"{_shift(said)}: {said.why}.",
        advice=_ADVICE,
    )


_ADVICE = (
    "Log timestamps whose zone is certain (date -u +%FT%TZ, date +%s or ts %.s), synchronise both "
    "hosts' clocks by NTP, and start log and capture before the load."
)


def _zone_read(said: LogClock) -> Finding:
    east_h = (said.utc_offset_s or 0.0) / _HOUR_S
    return Finding(
        id="log-clock",
        severity="info",
        title=f"The log's timestamps were read as {said.zone}, UTC{east_h:+g} h",
        evidence=f"Log and capture then agree to within {said.uncertainty_s or 0.0:.1f} s: "
        f"{said.why}.",
        advice=_ADVICE,
    )


def _zone_unknown(said: LogClock, figures: Figures) -> Finding | None:
    """Only where an instant is told that somebody would act on."""
    if not figures.drains:
        return None
    named = f"name {said.zone}, which can mean several zones" if said.zone else "name no zone"
    what = named if said.dated else "have no date"
    return Finding(
        id="log-clock",
        severity="info",
        title="Times are in the log's local time, whose zone is not known",
        evidence=f"The log's timestamps {what}.",
        advice=_ADVICE,
    )


def caveats(figures: Figures) -> list[str]:
    """What the verdict must not be read without."""
    said = figures.log_clock
    if said is None or said.joined is None:
        return []
    if not said.joined:
        return [_LEFT_OUT]
    if said.confirmed:
        return [f"{_shift(said)}, by matching events"] if _differs(said) else []
    if said.resolution_s <= EXACT_S:
        return []
    return ["log and capture are joined by the log's timestamps, which no events confirm"]


def _differs(said: LogClock) -> bool:
    """Whether the two clocks differ by more than is known of them; always without a day."""
    shift_s, uncertainty_s = said.shift_s or 0.0, said.uncertainty_s or 0.0
    return not said.dated or abs(shift_s) > uncertainty_s + said.resolution_s


def _shift(said: LogClock) -> str:
    shift_s, uncertainty_s = said.shift_s or 0.0, said.uncertainty_s or 0.0
    if not said.dated:
        return (
            f"the log has no dates; its midnight is {iso(round(-shift_s * NS_PER_S))} "
            f"± {uncertainty_s:.1f} s by the capture's clock"
        )
    whose = "ahead of" if shift_s > 0 else "behind"
    return f"the log's clock is {_span(abs(shift_s))} ± {uncertainty_s:.1f} s {whose} the capture's"


def _span(span_s: float) -> str:
    """``1 h 2 min 3.4 s``."""
    minutes, seconds = divmod(round(span_s, 1), _MINUTE_S)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join([*parts, *([f"{seconds:.1f} s"] if seconds or not parts else [])])
