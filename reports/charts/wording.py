"""Formats of numbers, and the sentences that the page and the terminal share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import count_of
from analyzer.client.samples import carries_quantile, carries_rate
from reports.charts import curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.client.results import Latency, RequestErrors
    from analyzer.report import Analysis
    from analyzer.results import Lifetime

NOT_MEASURED = "not measured"
WIDE_S = 0.5
"""An uncertainty of a lifetime from which on it is shown beside it."""

LATENCIES = (
    ("connect", "connect_ms"),
    ("first byte", "first_byte_ms"),
    ("total", "total_ms"),
)
FROM_DUE = (
    ("from due", "total_from_due_ms"),
    ("lateness", "lateness_ms"),
)
"""Latencies shown if requests were begun later than they were due."""

FORWARDING = {"dr": "Route", "nat": "Masq", "tun": "Tunnel", "local": "Local"}


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the three numbers at the head of the page; ``value`` None is "not measured"."""

    label: str
    value: str | None
    detail: str = ""
    alarming: bool = False


def seconds(value: float) -> str:
    """``20.33 s``; a few milliseconds keep their digits."""
    if value and abs(value) < 0.095:
        return f"{value:.3f} s"
    return f"{value:.2f} s"


def setting(value: float) -> str:
    """A configured number of seconds, as the operator wrote it: ``120 s``."""
    return f"{value:g} s"


def milliseconds(value: float) -> str:
    """About three digits: ``0.41``, ``12.4``, ``1003``."""
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def share(part: int, whole: int) -> str:
    """A percentage that rounds neither a part to 0 % nor less than all to 100 %."""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent % 1 else f"{percent:.0f} %"


def count(value: float) -> str:
    """A number or a rate, to four digits: ``57.3``, ``12,340``."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """``1 request``, ``20,000 requests``, ``2 entries``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def why(analysis: Analysis, words: Sequence[str], otherwise: str) -> str:
    """The run's own reason for a missing quantity, if one of ``words`` names it."""
    for missing in analysis.not_measured:
        if any(word in missing.what.lower() for word in words):
            return missing.why
    return otherwise


def why_no_polls(analysis: Analysis) -> str:
    """Why there are no counters of a director."""
    otherwise = "the counters do not have them" if analysis.counted else "no director was polled"
    return why(analysis, ("inactconn", "activeconn", "the director's"), otherwise)


def why_no_packets(analysis: Analysis) -> str:
    """Why there are no packets, and so no prediction."""
    return why(analysis, ("packet", "capture", "predict", "wire"), "no packets were captured")


def why_no_lifetime(analysis: Analysis) -> str:
    """Why no lifetime is known: no polls, no expiry, or no last packet before it."""
    if not analysis.peaks:
        reason = why_no_polls(analysis)
    elif any(group.n_expired for group in analysis.lifetimes):
        reason = why_no_packets(analysis)
    elif unsettled := [row.why for row in analysis.counted if row.why]:
        reason = unsettled[0]
    else:
        reason = "no entry was seen to expire"
    return why(analysis, ("lifetime",), reason)


def why_no_requests(analysis: Analysis) -> str:
    """Why there are no latencies."""
    if analysis.requests.sent:
        return "no request got that far"
    return why(analysis, ("request", "latency", "latencies"), "this run sent no requests")


def headlines(analysis: Analysis) -> tuple[Headline, Headline, Headline]:
    """Peak InActConn; lifetime against the configured timeout; share of failed or late requests."""
    return _peak(analysis), _lifetime(analysis), _trouble(analysis)


def _peak(analysis: Analysis) -> Headline:
    label = "Peak InActConn"
    directors = [peak for peak in analysis.peaks if peak.director is not None]
    if held := _conntrack_peak(analysis):
        return held
    if not directors:
        return Headline(label=label, value=None, detail=why_no_polls(analysis))
    total = next((p for p in analysis.peaks if p.director is None), None)
    top = max(directors, key=lambda peak: peak.inactive)
    value = (total or top).inactive
    if not value:
        return Headline(label=label, value="0", detail="no entry became inactive")
    table = next((t for t in analysis.timeline.peaks if t.director == top.director), None)
    rows = [str(row.inactive) for row in table.rows] if table else []
    split = f": {listed(rows)} by real server" if len(rows) > 1 else ""
    return Headline(
        label=label, value=f"{value:,}", detail=f"{top.inactive} on {top.director}{split}"
    )


def _conntrack_peak(analysis: Analysis) -> Headline | None:
    """The most entries that netfilter directors held, in place of InActConn; None without any."""
    names = {law.director for law in analysis.laws if law.kind == "netfilter"}
    held = {
        series.director: int(np.sum([*series.counts.values()], axis=0).max(initial=0))
        for series in analysis.pictures.states
        if series.source == "observed" and series.director in names
    }
    if not held or len(names) < len(analysis.laws):
        return None
    detail = listed([f"{n:,} on {name}" for name, n in held.items()])
    return Headline(
        label="Peak of conntrack's entries",
        value=f"{sum(held.values()):,}",
        detail=f"{detail}, open ones and those that only wait",
    )


def main_lifetime(analysis: Analysis) -> Lifetime | None:
    """The group of entries with the most expiries seen."""
    seen = [group for group in analysis.lifetimes if group.lifetime_s]
    return max(seen, key=lambda group: group.n_expired, default=None)


def timeout_label(group: Lifetime) -> str:
    """``tcpfin = 20 s``, or as much as is known."""
    name = "a fixed timeout" if group.timeout_name == "fixed" else group.timeout_name
    if group.timeout_s is None and group.timeout_assumed_s is not None:
        return f"{name}, assumed to be the kernel's default of {setting(group.timeout_assumed_s)}"
    if group.timeout_s is None:
        return f"{name} (value {NOT_MEASURED})"
    joined = " of " if group.timeout_name == "fixed" else " = "
    return f"{name}{joined}{setting(group.timeout_s)}"


def _lifetime(analysis: Analysis) -> Headline:
    label = "Lifetime of an entry"
    group = main_lifetime(analysis)
    if group is None or group.lifetime_s is None:
        return Headline(label=label, value=None, detail=why_no_lifetime(analysis))
    life = group.lifetime_s
    is_wide = life.uncertainty >= WIDE_S
    value = f"{life.mean:.1f} ± {life.uncertainty:.1f} s" if is_wide else seconds(life.mean)
    since = "after the last packet" if group.service is None else f"by InActConn of {group.service}"
    detail = f"mean {since}, in {group.state}, with {timeout_label(group)}"
    if group.granule_s is not None:
        detail += f"; the kernel's timer adds up to {seconds(group.granule_s)}"
    return Headline(label=label, value=value, detail=detail)


def _trouble(analysis: Analysis) -> Headline:
    label = "Requests failed or late"
    requests = analysis.requests
    if not requests.sent:
        return Headline(label=label, value=None, detail=why_no_requests(analysis))
    bad = min(requests.failed + requests.late, requests.sent)
    detail = f"of {requests.sent} sent, {requests.failed} failed and {requests.late} were late"
    return Headline(label=label, value=share(bad, requests.sent), detail=detail, alarming=bad > 0)


def sent(analysis: Analysis) -> str:
    """The requests and their results in one sentence, without a full stop."""
    requests = analysis.requests
    if not requests.sent:
        return f"No requests: {why_no_requests(analysis)}"
    text = plural(requests.sent, "request")
    if requests.connections is not None and requests.connections != requests.sent:
        text += f" over {plural(requests.connections, 'connection')}"
    if requests.duration_s is not None:
        text += f" in {seconds(requests.duration_s)}"
    if requests.rate_per_s is not None and carries_rate(requests.sent, requests.duration_s):
        text += f", {requests.rate_per_s:.1f} per second"
    return f"{text}: {requests.succeeded} succeeded, {requests.failed} failed, {requests.late} late"


_STAGES: Mapping[str, str] = {
    "connect": "no connection",
    "tls": "connected, no TLS",
    "answer": "connected",
    "close": "answered, not closed",
}


def reason(row: RequestErrors) -> str:
    """Why some requests failed: in words, or the HTTP status."""
    return row.what if row.status is None else f"HTTP {row.status}"


def stage(row: RequestErrors) -> str:
    """The stage up to which failed requests came."""
    return _STAGES.get(row.stage, row.stage)


def timeline_caption(analysis: Analysis) -> str:
    """The timeline in words."""
    observed = analysis.timeline.observed
    falls = [_director_fall(analysis, director) for director in curves.directors(observed)]
    polled = falls or [f"ActiveConn and InActConn: {NOT_MEASURED}, {why_no_polls(analysis)}."]
    sentences = [f"{sent(analysis)}.", *_never_ended(analysis), *polled]
    return " ".join([*sentences, *_agreement(analysis), *_gap_words(analysis)])


def _never_ended(analysis: Analysis) -> list[str]:
    n = count_of(analysis.timeline.request_ended_s, lambda ended_s: ~np.isfinite(ended_s))
    return (
        [f"{plural(n, 'request')} never ended and {'is' if n == 1 else 'are'} not drawn."]
        if n
        else []
    )


def _director_fall(analysis: Analysis, director: str) -> str:
    observed = curves.of(director, analysis.timeline.observed)
    rise = curves.fall(curves.sum_of_polls(observed))
    if rise is None:
        return f"On {director} InActConn was 0 at every poll."
    text = f"On {director} InActConn rose to {rise.peak}"
    if rise.first_s is None:
        return f"{text} and had not fallen by the last poll."
    if rise.empty_s is None:
        return f"{text} and had fallen to {rise.left} at the last poll."
    steps = plural(rise.steps, "step")
    start, end = seconds(rise.first_s), seconds(rise.empty_s)
    if rise.steps == 1:
        return f"{text} and fell to 0 in one step at {end}."
    return f"{text} and fell to 0 in {steps} between {start} and {end}."


def _agreement(analysis: Analysis) -> list[str]:
    if not analysis.timeline.predicted and analysis.agreement:  # conntrack's, which has no counters
        return [
            f"{row.state_matches:,} of {row.state_samples:,} polled states of {row.director}'s "
            "entries are the predicted ones."
            for row in analysis.agreement
        ]
    if not analysis.timeline.predicted:
        return [f"The prediction: {NOT_MEASURED}, {why_no_packets(analysis)}."]
    worst = [
        row.inactive_max_error for row in analysis.agreement if row.inactive_max_error is not None
    ]
    if not worst:
        return []
    most = f"differ by at most {max(worst)}" if max(worst) else "are equal"
    return [f"Polled and predicted InActConn {most}, without polls within 0.2 s of a change."]


def _gap_words(analysis: Analysis) -> list[str]:
    sentences = []
    for director in curves.directors(analysis.timeline.observed):
        observed = curves.of(director, analysis.timeline.observed)
        lengths = [end - start for start, end in curves.gaps(curves.sum_of_polls(observed).t_s)]
        if lengths:
            stops = "once" if len(lengths) == 1 else f"{len(lengths)} times"
            longest = seconds(max(lengths))
            sentences.append(
                f"Polling of {director} stopped {stops}, for up to {longest} (shaded)."
            )
    return sentences


def latency_caption(analysis: Analysis) -> str:
    """The latency chart in words."""
    total: Latency | None = analysis.requests.total_ms
    if total is None:
        return f"Latency: {NOT_MEASURED}, {why_no_requests(analysis)}."
    n = analysis.requests.sent
    half = f"Median latency {milliseconds(total.p50)} ms"
    slowest = f"maximum {milliseconds(total.max)} ms. Bars count requests; the solid line is"
    if not carries_quantile(0.99, n):
        return f"{half}, {slowest} p50 ({plural(n, 'request')} are too few for p99)."
    return f"{half}, p99 {milliseconds(total.p99)} ms, {slowest} p50, the dashed line p99."
