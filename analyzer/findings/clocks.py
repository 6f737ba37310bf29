"""Findings about clocks: of a director that was set, of an imported log against its capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.log_clock.place import EXACT_S
from analyzer.recording.clock import iso
from analyzer.results import Finding
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.findings.figures import Figures
    from analyzer.observed.record import ClockStep
    from analyzer.recording.log_clock import LogClock

_MINUTE_S = 60.0
_HOUR_S = 3600.0
_LEFT_OUT = "the capture was left out, because its clock cannot be compared with the log's"


def log_clock(figures: Figures) -> Finding | None:
    """The log's clock differs from the capture's, or is not known or not checked."""
    log_clock = figures.log_clock
    if log_clock is None:
        return None
    if log_clock.joined is None:
        return _zone_unknown(log_clock, figures) if not log_clock.is_utc else None
    if not log_clock.joined:
        return Finding(
            id="log-clock",
            severity="warning",
            title="The capture was left out: log and capture cannot be put on one clock",
            evidence=f"{log_clock.why[0].upper()}{log_clock.why[1:]}. "
            "This report rests on the log only.",
            advice=_ADVICE,
        )
    if not _differs(log_clock) and (log_clock.confirmed or log_clock.resolution_s <= EXACT_S):
        return _zone_read(log_clock) if log_clock.utc_offset_s and log_clock.zone else None
    return Finding(
        id="log-clock",
        severity="info" if log_clock.confirmed else "warning",
        title="The log's clock was aligned with the capture's by matching events"
        if log_clock.confirmed
        else "Log and capture are joined by the log's timestamps, which no events confirm",
        evidence=f"{_shift(log_clock)}: {log_clock.why}.",
        advice=_ADVICE,
    )


def clock_stepped(figures: Figures) -> Finding | None:
    """A director's clock, or this host's, was set between two polls."""
    steps = _steps(figures)
    if not steps:
        return None
    return Finding(
        id="clock-stepped",
        severity="warning",
        title=f"Clocks were set during the run: {', '.join(steps)} against this host",
        evidence="; ".join(
            f"{name}: at {iso(most.at_ns)} its boot, by its uptime, was {most.moved_s:+,.1f} s "
            f"from where it had been{_and_more(count)}"
            for name, (most, count) in steps.items()
        )
        + ". No reboot was seen. Times across it are by two clocks: lifetimes, timeouts and "
        "predictions of entries that existed then may be wrong by as much.",
        advice="Synchronise both hosts' clocks by NTP before the run, and run it again.",
    )


def _steps(figures: Figures) -> dict[str, tuple[ClockStep, int]]:
    """The largest step of each director that has one, and how many there were."""
    if figures.evidence is None:
        return {}
    return {
        name: (max(record.clock_steps, key=lambda step: abs(step.moved_s)), len(record.clock_steps))
        for name, record in figures.evidence.by_director.items()
        if record.clock_steps
    }


def _and_more(count: int) -> str:
    return f", the largest of {count} steps" if count > 1 else ""


_ADVICE = (
    "Log timestamps whose zone is certain (date -u +%FT%TZ, date +%s or ts %.s), synchronise both "
    "hosts' clocks by NTP, and start log and capture before the load."
)


def _zone_read(log_clock: LogClock) -> Finding:
    east_h = (log_clock.utc_offset_s or 0.0) / _HOUR_S
    return Finding(
        id="log-clock",
        severity="info",
        title=f"The log's timestamps were read as {log_clock.zone}, UTC{east_h:+g} h",
        evidence=f"Log and capture then agree to within {log_clock.uncertainty_s or 0.0:.1f} s: "
        f"{log_clock.why}.",
        advice=_ADVICE,
    )


def _zone_unknown(log_clock: LogClock, figures: Figures) -> Finding | None:
    """The log's zone is not known, which matters where an instant is reported to act on."""
    if not figures.drains:
        return None
    named = (
        f"name {log_clock.zone}, which can mean several zones" if log_clock.zone else "name no zone"
    )
    what = named if log_clock.dated else "have no date"
    return Finding(
        id="log-clock",
        severity="info",
        title="Times are in the log's local time, whose zone is not known",
        evidence=f"The log's timestamps {what}.",
        advice=_ADVICE,
    )


def caveats(figures: Figures) -> list[str]:
    """The clauses about clocks that the verdict needs."""
    steps = _steps(figures)
    most_s = max((abs(most.moved_s) for most, _ in steps.values()), default=0.0)
    stepped = f"clocks were set during the run ({', '.join(steps)}: by up to {most_s:,.0f} s)"
    return [*([stepped] if steps else []), *_of_log(figures.log_clock)]


def _of_log(log_clock: LogClock | None) -> list[str]:
    if log_clock is None or log_clock.joined is None:
        return []
    if not log_clock.joined:
        return [_LEFT_OUT]
    if log_clock.confirmed:
        return [f"{_shift(log_clock)}, by matching events"] if _differs(log_clock) else []
    if log_clock.resolution_s <= EXACT_S:
        return []
    return ["log and capture are joined by the log's timestamps, which no events confirm"]


def _differs(log_clock: LogClock) -> bool:
    """Whether the two clocks differ beyond uncertainty; always true without a day."""
    shift_s, uncertainty_s = log_clock.shift_s or 0.0, log_clock.uncertainty_s or 0.0
    return not log_clock.dated or abs(shift_s) > uncertainty_s + log_clock.resolution_s


def _shift(log_clock: LogClock) -> str:
    shift_s, uncertainty_s = log_clock.shift_s or 0.0, log_clock.uncertainty_s or 0.0
    if not log_clock.dated:
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
