"""Findings about the run itself: failures, losses, unreliable measurements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.client.samples import carries_quantile, carries_rate
from analyzer.compared.agreement import TOLERATED, UNEXPLAINED
from analyzer.results import Finding

SATURATED_MS = 20.0
"""The 99th percentile of lateness (of fewer than 100 requests, the median) above which the load
was not sent on schedule; at a low rate, the time between two requests."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.findings.figures import Figures
    from analyzer.results import Agreement, Event

MOMENT_POLLS = 2
"""Consecutive polls in which InActConn may differ."""
MAX_SPANS = 5
ADJACENT_S = 0.2
"""The kernel's counter is read every second; drops in consecutive seconds are one range."""

_DROP = re.compile(r"(\d{1,15}) packets within (\d{1,9}(?:\.\d{1,9})?) s")


def run_incomplete(figures: Figures) -> Finding | None:
    """The run is incomplete, so its figures are of a part of it."""
    ending = figures.ending
    if ending is None or ending.is_whole:
        return None
    left = [
        f"{row.n - row.n_expired} of {row.n} entries in {row.state} on {row.director} were "
        "not seen to expire"
        for row in figures.lifetimes
        if row.n_expired < row.n
    ]
    return Finding(
        id="run-incomplete",
        severity="warning",
        title=f"This run was {ending.text}",
        evidence="; ".join(["Figures cover only what was recorded until then", *left]) + ".",
        advice="A complete run may show higher peaks and counts, and more findings; what was "
        "measured of single entries and requests is valid. Run it again to its end for the rest.",
    )


def load_saturated(figures: Figures) -> Finding | None:
    """The client did not keep up with its schedule."""
    late = figures.requests.lateness_ms
    schedule = _schedule(figures)
    if late is None or not schedule:
        return None
    requests, each = figures.requests, _requests_per_connection(figures)
    allowed_ms = max(SATURATED_MS, 1e3 * each / schedule)
    scheduled = requests.sent if each == 1 else requests.connections or 0
    many = carries_quantile(0.99, scheduled)
    if (late.p99 if many else late.p50) <= allowed_ms:
        return None
    rate_per_s = requests.rate_per_s if carries_rate(requests.sent, requests.duration_s) else None
    sent = f"{requests.sent:,} were sent" + (f", {rate_per_s:,.0f}/s" if rate_per_s else "")
    rare = f", one in a hundred more than {late.p99:,.1f} ms" if many else ""
    which = "them" if each == 1 else f"the {scheduled:,} connections"
    why = "the client was saturated" if late.p50 > allowed_ms else "the client was delayed at times"
    return Finding(
        id="load-saturated",
        severity="warning",
        title=f"The load was not sent on schedule: {why}",
        evidence=f"Up to {schedule:,.0f} requests/s were due; {sent}; half of {which} started "
        f"more than {late.p50:,.1f} ms late{rare}, the latest {late.max:,.1f} ms late. No request "
        "was left out, and latency is also reported from the time each was due.",
        advice="Use more processes (--processes), another engine, more concurrent connections "
        "(-c), or a lower rate; a slow server with few connections has the same effect.",
    )


def _requests_per_connection(figures: Figures) -> int:
    each = figures.evidence.manifest.plan.requests_per_connection if figures.evidence else 1
    return max(each, 1)


def _schedule(figures: Figures) -> float | None:
    """The highest rate of the open model's schedule; None where there was none."""
    plan = figures.evidence.manifest.plan if figures.evidence else None
    if plan is None or plan.model != "open":
        return None
    return max((stage.rate_per_s for stage in plan.arrivals.stages), default=None)


def director_lost(figures: Figures) -> Finding | None:
    """A director did not answer for a time."""
    lost = [event for event in figures.events if event.kind == "link-lost"]
    if not lost:
        return None
    hosts = ", ".join(sorted({event.host for event in lost}))
    return Finding(
        id="director-lost",
        severity="warning",
        title=f"The link to {hosts} was lost during the run",
        evidence=_when_and_why(lost),
        advice="The polls have a gap there; the director's state in that time is not known.",
    )


def _when_and_why(lost: Sequence[Event]) -> str:
    """The first losses of a link; a link may come and go for a week."""
    shown = [
        f"{event.t_s:.1f} s: {event.host}" + (f": {event.detail}" if event.detail else "")
        for event in lost[:MAX_SPANS]
    ]
    more = f"; and {len(lost) - MAX_SPANS} more" if len(lost) > MAX_SPANS else ""
    return "; ".join(shown) + more


def capture_incomplete(figures: Figures) -> Finding | None:
    """The capture missed packets."""
    drops = [event for event in figures.events if event.kind == "capture-drop"]
    ends = [event for event in figures.events if event.kind == "capture-stopped"]
    if not (figures.capture_dropped or drops or ends):
        return None
    return Finding(
        id="capture-incomplete",
        severity="warning",
        title="The capture missed packets, so predictions may be off",
        evidence="; ".join([*_dropped(figures, drops), *map(_stopped, ends)]) + ".",
        advice="Send at a lower rate, capture on a less loaded machine, or with --capture-with "
        "ring. The capture does not show what connections did in these times.",
    )


def _dropped(figures: Figures, drops: Sequence[Event]) -> list[str]:
    """The number of dropped packets, and the time ranges, merged where adjacent."""
    spans = _spans(drops)
    lost = sum(packets for _, _, packets in spans) or figures.capture_dropped
    if not lost:
        return []
    shown = [f"{from_s:.1f} to {to_s:.1f} s ({packets})" for from_s, to_s, packets in spans]
    more = f" and {len(shown) - MAX_SPANS} more" if len(shown) > MAX_SPANS else ""
    when = f": {', '.join(shown[:MAX_SPANS])}{more}" if shown else ""
    return [f"The kernel dropped {lost} packets before the capture{when}"]


def _spans(drops: Sequence[Event]) -> list[tuple[float, float, int]]:
    """Begin, end (seconds of the run) and packets; a detail is ``12 packets within 1.00 s``."""
    spans: list[tuple[float, float, int]] = []
    for event in drops:
        match = _DROP.match(event.detail)
        if match is None:
            continue
        packets, from_s = int(match[1]), event.t_s - float(match[2])
        if spans and from_s - spans[-1][1] <= ADJACENT_S:
            begun_s, _, before = spans.pop()
            spans.append((begun_s, event.t_s, before + packets))
        else:
            spans.append((from_s, event.t_s, packets))
    return spans


def _stopped(event: Event) -> str:
    return f"At {event.t_s:.1f} s the capture on {event.host} stopped: {event.detail}"


def foreign_entries(figures: Figures) -> Finding | None:
    """Directors had entries that are not of this run."""
    foreign = {name: n for name, n in figures.foreign_entries.items() if n}
    if not foreign:
        return None
    counts = ", ".join(f"{n} on {name}" for name, n in foreign.items())
    return Finding(
        id="foreign-entries",
        severity="info",
        title="The director also held entries that this run did not make",
        evidence=f"Entries of the service without a packet of this run: {counts}. The predicted "
        "curves leave them out, the polled counters do not.",
        advice="For a clean measurement wait until earlier entries have expired.",
    )


def prediction_differs(figures: Figures) -> Finding | None:
    """Predicted and observed differ beyond the uncertainty of polls, clocks and timers."""
    parts = [
        f"{row.director}: {', '.join(named)}"
        for row in figures.agreement
        if (named := _differing(row, figures.foreign_entries))
    ]
    if not parts:
        return None
    if _is_joined_unconfirmed(figures):
        return Finding(
            id="prediction-differs",
            severity="info",
            title="Prediction and log differ, but may not be of the same time",
            evidence=f"{'; '.join(parts)}. Log and capture are joined by the log's timestamps, "
            "which no events confirm: another offset of the log's clock may explain all of it.",
            advice="Find the offset between the clocks of log and capture before drawing "
            "conclusions; a load that does not repeat itself would show it.",
        )
    return Finding(
        id="prediction-differs",
        severity="warning",
        title="The director did not do what the captured packets predict",
        evidence="; ".join(parts) + ".",
        advice=f"First check what was assumed: {_assumed(figures)}the forwarding, the clocks, and "
        "which packets passed the director. A change during the run, packets that the capture "
        "missed, or traffic from outside this run would also explain it; see where the curves of "
        "the timeline diverge.",
    )


def _is_joined_unconfirmed(figures: Figures) -> bool:
    """Whether the observed curve is placed only by the log's stamps."""
    log_clock = figures.log_clock
    return log_clock is not None and bool(log_clock.joined) and not log_clock.confirmed


def _assumed(figures: Figures) -> str:
    """The values that were assumed because they could not be read."""
    names = sorted({name for result in figures.measured for name in result.in_force.assumed})
    hz = any(result.rules.hz is None for result in figures.measured)
    taken = [f"timeouts that were not read ({', '.join(names)})"] if names else []
    taken += ["HZ, which is not known"] if hz else []
    return "".join(f"{default}, " for default in taken)


def _differing(row: Agreement, foreign: Mapping[str, int]) -> list[str]:
    """The differences in words.

    Counters are no evidence where they also count entries that this run did not make, nor where an
    expiry may have been taken for one of the timer's steps too early or late.
    """
    counters_are_evidence = (
        "clock" not in row.residuals and foreign.get(row.director, 0) <= TOLERATED
    )
    parts: list[str] = []
    if row.unexplained_polls > MOMENT_POLLS and counters_are_evidence:
        parts.append(
            f"InActConn is off by more than {TOLERATED} entries for {row.unexplained_polls} polls "
            "in a row" + _at_most(row)
        )
    states_off = row.state_samples - row.state_matches
    if states_off:
        parts.append(f"{states_off:,} of {row.state_samples:,} states differ")
    expiries = row.residuals.get(UNEXPLAINED, 0)
    if expiries:
        by = "" if row.unexplained_s is None else f" (up to {row.unexplained_s:.2f} s)"
        parts.append(f"{expiries:,} expiries are off by more than polls and clocks explain{by}")
    return parts


def _at_most(row: Agreement) -> str:
    return f" (up to {row.inactive_max_error:,})" if row.inactive_max_error else ""
