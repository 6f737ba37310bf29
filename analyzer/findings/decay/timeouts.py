"""Findings about timeouts: which one governs, its measured value, and early or late expiries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.samples import carries_rate
from analyzer.estimate.counted.results import service_name
from analyzer.findings.decay.counted import alternatives
from analyzer.findings.figures import (
    agrees,
    by_whom,
    lifetime_sentence,
    measured,
    seconds,
    timeout_sentence,
)
from analyzer.ipvs.drop_entry import in_words
from analyzer.predicted.entries import (
    DROP_ENTRY,
    EXPIRE_NODEST,
    FLUSH,
    PORT_REUSE,
    PORT_TAKEN,
    REFUSED,
)
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.client.results import Requests
    from analyzer.findings.figures import Figures
    from analyzer.results import EndedEarly, Lifetime

BELOW_NOTICE_S = 0.05
TIMES_THE_RATE = 10


def governing(lifetimes: Sequence[Lifetime]) -> Lifetime | None:
    """The largest group of inactive entries, whose timeout governs the decay.

    Where none became inactive, the largest group of active ones.
    """
    inactive = [row for row in lifetimes if row.counted == "inactive"]
    return max(inactive or lifetimes, key=lambda row: row.n, default=None)


def governing_each(lifetimes: Sequence[Lifetime]) -> list[Lifetime]:
    """The governing group of each service, or of all entries if rows are not per service."""
    services = dict.fromkeys((row.director, row.service, row.forwarding) for row in lifetimes)
    if not any(service for _, service, _ in services):
        row = governing(lifetimes)
        return [row] if row else []
    groups = (
        [row for row in lifetimes if (row.director, row.service, row.forwarding) == key]
        for key in services
    )
    governing_rows = [row for group in groups if (row := governing(group))]
    return sorted(governing_rows, key=lambda row: -row.n)


def _governed_by(figures: Figures, name: str) -> Lifetime | None:
    """The largest group that a timeout governs."""
    rows = governing_each(figures.lifetimes)
    return next((row for row in rows if row.timeout_name == name), None)


def _of_service(row: Lifetime) -> str:
    return f" of {row.service}" if row.service else ""


def tcpfin_governs(figures: Figures) -> Finding | None:
    """Entries waited in FIN_WAIT, for tcpfin."""
    row = _governed_by(figures, "tcpfin")
    if row is None:
        return None
    verdict = agrees(row)
    return Finding(
        id="tcpfin-governs",
        severity="warning" if verdict is False else "info",
        title=_tcpfin_title(row, verdict),
        evidence=(
            f"On {row.director} {lifetime_sentence(row)}, all in {row.state}. Timeout "
            f"{measured(row)}, {by_whom(row)} {timeout_sentence(row)}; "
            f"timer granule {seconds(row.granule_s)}."
        ),
        advice=_tcpfin_advice(row, figures.requests),
    )


def _tcpfin_title(row: Lifetime, verdict: bool | None) -> str:
    decay = f"tcpfin governs the decay of InActConn{_of_service(row)}"
    if verdict is None:
        return decay
    if verdict:
        return f"{decay}, and the measured value is the configured one"
    return "Entries in FIN_WAIT do not expire after the configured tcpfin"


def _tcpfin_advice(row: Lifetime, requests: Requests) -> str:
    text = (
        "InActConn counts entries that the director keeps, not open connections: no request waits "
        "for them. For a faster decay lower the second number of ipvsadm --set (0 leaves a number "
        "unchanged); it applies to each entry from its next packet on."
    )
    rate_per_s = requests.rate_per_s
    if row.timeout_s is None or not rate_per_s:
        return text
    if not carries_rate(requests.sent, requests.duration_s):
        return text
    held_s = row.timeout_s + (row.granule_s or 0) / 2
    at_rate = rate_per_s * TIMES_THE_RATE
    per_request = (requests.connections_per_s or rate_per_s) / rate_per_s  # connections
    return (
        f"{text} At a sustained {at_rate:,.0f} requests/s ({TIMES_THE_RATE} times the rate of "
        f"this run's {requests.sent:,} requests in {requests.duration_s:.1f} s) InActConn would "
        f"settle at about {at_rate * per_request * held_s:,.0f} entries."
    )


def udp_governs(figures: Figures) -> Finding | None:
    """UDP entries waited for udp, the third number of ``--set``."""
    row = _governed_by(figures, "udp")
    if row is None:
        return None
    return Finding(
        id="udp-governs",
        severity="warning" if agrees(row) is False else "info",
        title=f"The udp timeout governs the decay of InActConn{_of_service(row)}",
        evidence=f"On {row.director} {lifetime_sentence(row)}, all in {row.state}. "
        f"Timeout {measured(row)}, {by_whom(row)} {timeout_sentence(row)}. Each datagram of a "
        "flow restarts the timeout of its entry.",
        advice="tcpfin does not matter for UDP. For a faster decay lower the third number of "
        "ipvsadm --set (0 leaves a number unchanged), but not below the longest pause between a "
        "request and its answer; it applies to each entry from its next packet on.",
    )


_LONGEST_LIST = 3


def lifetime_ambiguous(figures: Figures) -> Finding | None:
    """The counters allow several lifetimes, or none with certainty."""
    unsettled = [row for row in figures.counted if not row.settled and row.readings]
    if not unsettled:
        return None
    shown = [f"{service_name(row)}: {alternatives(row)}" for row in unsettled[:_LONGEST_LIST]]
    more = len(unsettled) - len(shown)
    return Finding(
        id="lifetime-ambiguous",
        severity="info",
        title="InActConn is not enough to measure entry lifetimes",
        evidence="; ".join(shown) + (f"; and {more} more services" if more else "") + ".",
        advice="Any of these settles it: ipvsadm -Ln --stats in the log (Conns counts the new "
        "connections; CPS of --rate, at each poll, gives about how many), the expire column of "
        "ipvsadm -Lnc, "
        "ipvsadm -Ln --timeout, a capture, or a second load of another length.",
    )


def tcpfin_has_no_effect(figures: Figures) -> Finding | None:
    """The inactive entries waited in a state with a fixed timeout: nat, resets."""
    row = _governed_by(figures, "fixed")
    if row is None or row.counted != "inactive":
        return None
    return Finding(
        id="tcpfin-has-no-effect",
        severity="info",
        title=f"tcpfin does not matter {f'for {row.service}' if row.service else 'here'}: entries "
        f"waited in {row.state}, a fixed timeout",
        evidence=f"On {row.director} {lifetime_sentence(row)}, all in {row.state} "
        f"(forwarding {row.forwarding or figures.forwarding or 'not known'}); timeout "
        f"{measured(row)}, fixed in the kernel at {seconds(row.timeout_s)}.",
        advice="Changing tcpfin will not shorten this decay; no ipvsadm --set number does.",
    )


def expires_late(figures: Figures) -> Finding | None:
    """Entries expired late by the timer's granule, which is normal."""
    rows = [
        row
        for row in figures.lifetimes
        if row.lifetime_s and row.granule_s and row.timeout_s and row.service is None
    ]
    row = max(rows, key=lambda row: row.n, default=None)
    if row is None or row.lifetime_s is None or row.timeout_s is None or row.granule_s is None:
        return None
    late_s = row.lifetime_s.mean - row.timeout_s
    if not BELOW_NOTICE_S < late_s <= row.granule_s + row.lifetime_s.uncertainty:
        return None
    return Finding(
        id="expires-late",
        severity="info",
        title=f"Entries expire up to {row.granule_s:.2f} s late, in steps of the kernel's timer "
        "wheel",
        evidence=f"On {row.director} entries in {row.state} lasted {late_s:.2f} s longer than "
        f"their timeout of {row.timeout_s:g} s on average; the wheel's granule for that timeout "
        f"is {row.granule_s:.2f} s.",
        advice="No fault: the kernel rounds each expiry up to its timer granule.",
    )


def idle_established(figures: Figures) -> Finding | None:
    """Entries expired or wait in ESTABLISHED: their connections may still be open."""
    rows = [row for row in figures.lifetimes if row.state == "ESTABLISHED"]
    if not rows:
        return None
    n, n_expired = sum(row.n for row in rows), sum(row.n_expired for row in rows)
    wait = _wait(rows[0])
    expired_text = f"{n_expired} of these entries expired during the run. " if n_expired else ""
    return Finding(
        id="idle-established",
        severity="warning" if n_expired else "info",
        title=f"{n} connections were left open and idle: active for {wait}",
        evidence="; ".join(
            f"{row.director}: {lifetime_sentence(row)}, in ESTABLISHED" for row in rows
        )
        + _such_as(figures.ends(figures.flows_in("ESTABLISHED").examples())),
        advice=f"{expired_text}After the tcp timeout the director has no entry: the client's next "
        "packet is answered by a RST from the VIP, although the real server still holds its "
        "socket. Keep the tcp timeout above the clients' keepalive interval.",
    )


def _wait(row: Lifetime) -> str:
    estimate = row.timeout_measured_s
    if row.timeout_s is None and estimate is not None:
        return f"{estimate.value:.0f} ± {estimate.uncertainty:.0f} s each"
    return (
        "the tcp timeout, which was not read"
        if row.timeout_s is None
        else f"{timeout_sentence(row)} each"
    )


_REMOVED_BY = {
    DROP_ENTRY: "the director defends its memory (net.ipv4.vs.drop_entry)",
    EXPIRE_NODEST: "a real server was removed, or a client's port came back while it had weight 0",
    FLUSH: "the table was flushed, or the director's kernel went down",
    PORT_TAKEN: "conntrack gave the masqueraded connection's source port to another one, as none "
    "was left",
}
"""What removes entries before their timeout."""


def ended_early(figures: Figures) -> Finding | None:
    """Entries were removed before their timeout, for a known reason."""
    rows = [row for row in figures.ended_early if row.cause not in (PORT_REUSE, REFUSED)]
    if not rows:
        return None
    causes = ", ".join(f"{row.n} in {row.state} on {row.director} ({row.cause})" for row in rows)
    return Finding(
        id="ended-early",
        severity="warning",
        title=f"{sum(row.n for row in rows)} entries were removed before their timeout",
        evidence=" ".join(
            (f"{causes}. They are excluded from the lifetimes.", *_sweeps(figures, rows))
        ),
        advice="; ".join(
            f"{cause}: {meaning}"
            for cause, meaning in _REMOVED_BY.items()
            if any(row.cause == cause for row in rows)
        )
        + ".",
    )


def _sweeps(figures: Figures, rows: Sequence[EndedEarly]) -> Iterator[str]:
    """How drop_entry works on the directors that dropped entries, by kernel."""
    dropping = {row.director for row in rows if row.cause == DROP_ENTRY}
    for result in figures.measured:
        if result.director.name in dropping:
            kernel = result.director.kernel
            of = f"Linux {kernel}" if kernel else "its kernel is not known"
            yield f"On {result.director.name} ({of}) {in_words(kernel)}"


def _such_as(ends: str) -> str:
    return f"; such as {ends}." if ends else "."
