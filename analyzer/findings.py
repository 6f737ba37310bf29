"""What was learnt: small functions, each from an Analysis's figures to a Finding or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.agreement import TOLERATED
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.results import Agreement, Event, Lifetime, Peak, Requests, Severity

BELOW_NOTICE_S = 0.05
TIMES_THE_RATE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What findings are made from.

    Attributes:
        lifetimes: largest group first within a director.
        capture_dropped: packets that the kernel dropped before the capture; None without one.
        foreign_entries: entries of the service whose packets this run did not send, by director.
    """

    requests: Requests
    peaks: Sequence[Peak]
    lifetimes: Sequence[Lifetime]
    agreement: Sequence[Agreement]
    events: Sequence[Event]
    forwarding: str | None
    capture_dropped: int | None
    foreign_entries: dict[str, int]


def findings(figures: Figures) -> tuple[Finding, ...]:
    """All that holds of a run, the worst first."""
    order: dict[Severity, int] = {"problem": 0, "warning": 1, "info": 2}
    found = [finding for rule in _RULES if (finding := rule(figures))]
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))


def governing(lifetimes: Sequence[Lifetime]) -> Lifetime | None:
    """The largest group of inactive entries: the one whose timeout governs the decay."""
    inactive = [row for row in lifetimes if row.counted == "inactive"]
    return max(inactive, key=lambda row: row.n, default=None)


def agrees(row: Lifetime) -> bool | None:
    """Whether the measured timeout is the configured one; None if either is not known."""
    measured, configured_s = row.timeout_measured_s, row.timeout_s
    if measured is None or configured_s is None:
        return None
    return abs(measured.value - configured_s) <= measured.uncertainty


def lived(row: Lifetime) -> str:
    """A group's lifetime in words."""
    life = row.lifetime_s
    if life is None:
        return f"none of {row.n} entries was seen to go"
    return (
        f"{row.n_expired} of {row.n} entries went {life.mean:.2f} s after their last packet "
        f"({life.min:.2f} to {life.max:.2f} s, each ± {life.uncertainty:.2f} s)"
    )


def measured(row: Lifetime) -> str:
    """The measured timeout in words."""
    estimate = row.timeout_measured_s
    if estimate is None:
        return "not measured"
    return f"{estimate.value:.2f} ± {estimate.uncertainty:.2f} s"


def _tcpfin_governs(figures: Figures) -> Finding | None:
    row = governing(figures.lifetimes)
    if row is None or row.timeout_name != "tcpfin":
        return None
    verdict = agrees(row)
    configured = "not measured" if row.timeout_s is None else f"{row.timeout_s:g} s"
    return Finding(
        id="tcpfin-governs",
        severity="warning" if verdict is False else "info",
        title=_tcpfin_title(row, verdict),
        evidence=(
            f"On {row.director} {lived(row)}, all in {row.state}. Timeout measured "
            f"{measured(row)}, configured {configured}; "
            f"timer granule {_seconds(row.granule_s)}."
        ),
        advice=_tcpfin_advice(row, figures.requests),
    )


def _tcpfin_title(row: Lifetime, verdict: bool | None) -> str:
    if verdict is None:
        return "tcpfin governs the decay of InActConn"
    if verdict:
        return "tcpfin governs the decay of InActConn, and measures what is configured"
    return "entries in FIN_WAIT do not live as long as the configured tcpfin says"


def _tcpfin_advice(row: Lifetime, requests: Requests) -> str:
    text = (
        "InActConn counts what the director remembers, not open connections: no request waits "
        "for it. To have it fall sooner, lower the second number of ipvsadm --set "
        "(0 leaves a number as it is); it holds for entries whose next packet comes after that."
    )
    if row.timeout_s is None or not requests.rate_per_s:
        return text
    held_s = row.timeout_s + (row.granule_s or 0) / 2
    at_rate = requests.rate_per_s * TIMES_THE_RATE
    return (
        f"{text} Sustained at {at_rate:,.0f} requests/s ({TIMES_THE_RATE} times this burst's "
        f"rate) InActConn would settle at about {at_rate * held_s:,.0f} entries."
    )


def _tcpfin_has_no_effect(figures: Figures) -> Finding | None:
    row = governing(figures.lifetimes)
    if row is None or row.timeout_name != "fixed":
        return None
    return Finding(
        id="tcpfin-has-no-effect",
        severity="info",
        title=f"tcpfin does not matter here: entries waited in {row.state}, a fixed timeout",
        evidence=f"On {row.director} {lived(row)}, all in {row.state} "
        f"(forwarding {figures.forwarding or 'not known'}); timeout measured {measured(row)}, "
        f"fixed in the kernel at {_seconds(row.timeout_s)}.",
        advice="Changing tcpfin will not shorten this decay; no ipvsadm --set number does.",
    )


def _expires_late(figures: Figures) -> Finding | None:
    rows = [row for row in figures.lifetimes if row.lifetime_s and row.granule_s and row.timeout_s]
    row = max(rows, key=lambda row: row.n, default=None)
    if row is None or row.lifetime_s is None or row.timeout_s is None or row.granule_s is None:
        return None
    late_s = row.lifetime_s.mean - row.timeout_s
    if not BELOW_NOTICE_S < late_s <= row.granule_s + row.lifetime_s.uncertainty:
        return None
    return Finding(
        id="expires-late",
        severity="info",
        title=f"Entries go up to {row.granule_s:.2f} s late, in steps: the kernel's timer wheel",
        evidence=f"On {row.director} entries in {row.state} lived {late_s:.2f} s longer than "
        f"their {row.timeout_s:g} s on average; the wheel's granule for that timeout is "
        f"{row.granule_s:.2f} s.",
        advice="No fault: the kernel rounds each expiry up to its timer granule.",
    )


def _prediction_differs(figures: Figures) -> Finding | None:
    off = [row for row in figures.agreement if _off(row)]
    if not off:
        return None
    parts = [
        f"{row.director}: InActConn off by up to {row.inactive_max_error} entries, "
        f"by more than {TOLERATED} for {row.disagreement_polls} polls in a row; "
        f"{row.state_samples - row.state_matches} of {row.state_samples} states differ"
        for row in off
    ]
    return Finding(
        id="prediction-differs",
        severity="warning",
        title="The director did not do what the captured packets predict",
        evidence="; ".join(parts) + ".",
        advice="Other clients' traffic, packets that the capture missed, or a change made "
        "meanwhile would explain it; look at the timeline where the curves part.",
    )


def _off(row: Agreement) -> bool:
    return row.disagreement_polls > 2 or row.state_matches < row.state_samples


def _requests_failed(figures: Figures) -> Finding | None:
    requests = figures.requests
    if not requests.failed:
        return None
    return Finding(
        id="requests-failed",
        severity="problem",
        title=f"{requests.failed} of {requests.sent} requests failed",
        evidence=f"{requests.succeeded} succeeded; the errors stand in requests/, column error.",
        advice="See whether the real servers answer, and whether the VIP has a director.",
    )


def _capture_incomplete(figures: Figures) -> Finding | None:
    if not figures.capture_dropped:
        return None
    return Finding(
        id="capture-incomplete",
        severity="warning",
        title="The capture missed packets, so predictions may be off",
        evidence=f"The kernel dropped {figures.capture_dropped} packets before the capture.",
        advice="Send at a lower rate, or capture on a less loaded machine.",
    )


def _director_lost(figures: Figures) -> Finding | None:
    lost = [event for event in figures.events if event.kind == "link-lost"]
    if not lost:
        return None
    hosts = ", ".join(sorted({event.host for event in lost}))
    return Finding(
        id="director-lost",
        severity="warning",
        title=f"The link to {hosts} was lost during the run",
        evidence="; ".join(f"{event.t_s:.1f} s: {event.host}: {event.detail}" for event in lost),
        advice="The polls have a gap there; nothing is known of the director meanwhile.",
    )


def _foreign_entries(figures: Figures) -> Finding | None:
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
        advice="For a clean measurement wait until earlier entries have gone.",
    )


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:g} s"


_RULES: tuple[Callable[[Figures], Finding | None], ...] = (
    _requests_failed,
    _director_lost,
    _capture_incomplete,
    _prediction_differs,
    _tcpfin_governs,
    _tcpfin_has_no_effect,
    _expires_late,
    _foreign_entries,
)


def verdict(figures: Figures) -> str:
    """The sentence that heads the page: which timeout governs the decay, and what it measures.

    Failed requests come before it; that all went well, after.
    """
    row = governing(figures.lifetimes)
    sent = _requests_sentence(figures.requests)
    if row is None:
        unknown = "no entry was seen to become inactive, so no timeout could be measured"
        return _sentence([sent, unknown])
    decay = [_governed(row), *_peaked(figures.peaks, row.director)]
    return _sentence([sent, *decay] if figures.requests.failed else [*decay, sent])


def _peaked(peaks: Sequence[Peak], director: str) -> list[str]:
    return [
        f"InActConn peaked at {peak.inactive} on {peak.director}"
        for peak in peaks
        if peak.director == director
    ]


def _governed(row: Lifetime) -> str:
    by = {
        "tcpfin": "tcpfin governs the decay",
        "tcp": "the tcp timeout governs the decay",
        "udp": "the udp timeout governs the decay",
        "fixed": f"the decay is governed by the fixed timeout of {row.state}, not by tcpfin",
    }[row.timeout_name]
    if row.lifetime_s is None:
        return f"{by}, but no entry was seen to go"
    lived_s = f"entries in {row.state} lived {row.lifetime_s.mean:.1f} s after their last packet"
    configured = "fixed" if row.timeout_name == "fixed" else "configured"
    if row.timeout_s is None:
        return f"{by}: {lived_s} (timeout measured {measured(row)}, configured not known)"
    judged = {True: "in agreement with", False: "not in agreement with", None: "beside"}
    return (
        f"{by}: {lived_s} (timeout measured {measured(row)}, "
        f"{judged[agrees(row)]} the {row.timeout_s:g} s {configured})"
    )


def _requests_sentence(requests: Requests) -> str:
    if not requests.sent:
        return "no requests were sent"
    return f"{requests.succeeded} of {requests.sent} requests succeeded"


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text}."
