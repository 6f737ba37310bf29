"""Findings of a run: small functions, each from the measured figures to a Finding or None.

Each finding has a stable id, evidence that a reader can check, and advice in an operator's words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.estimate.falls.lifetimes import why_unknown
from analyzer.findings import (
    clocks,
    failover,
    failures,
    forwarding,
    limits,
    resets,
    run,
    servers,
    wire,
    workers,
)
from analyzer.findings.collisions import masquerade, node_ports, reused
from analyzer.findings.decay import changed, conntrack, draining, expired, timeouts
from analyzer.findings.decay.counted import counter_sentences
from analyzer.findings.decay.timeouts import governing
from analyzer.findings.figures import (
    agrees,
    by_whom,
    is_same_evidence,
    lifetime_sentence,
    measured,
    reported_s,
    timeout_sentence,
)
from analyzer.ipvs.addresses import ENTRY_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.evidence.evidence import Evidence
    from analyzer.findings.figures import Figures
    from analyzer.results import Counted, Event, Finding, Lifetime, Peak, Severity

RULES: tuple[Callable[[Figures], Finding | None], ...] = (
    failover.failover_invalid,
    failover.black_hole,
    failover.two_masters,
    failover.no_master,
    failover.failover_differs,
    failover.keepalived_alone,
    failover.bfd,
    failover.connections_reset,
    failover.preemption,
    failover.flapping,
    failover.clean_stop,
    failover.syn_retries,
    run.run_incomplete,
    failures.vip_unanswered,
    failures.service_missing,
    failures.no_real_server,
    failures.requests_failed,
    failures.redirects_not_followed,
    workers.load_lost,
    run.load_saturated,
    run.director_lost,
    run.capture_incomplete,
    clocks.clock_stepped,
    workers.clocks_uncertain,
    run.prediction_differs,
    forwarding.forwarding_differs,
    resets.refused,
    expired.packet_after_expiry,
    conntrack.conntrack_governs,
    timeouts.tcpfin_governs,
    timeouts.udp_governs,
    timeouts.tcpfin_has_no_effect,
    timeouts.lifetime_ambiguous,
    resets.reset_closes_early,
    resets.reset_by_server,
    conntrack.conntrack_idle,
    conntrack.conntrack_half_closed,
    timeouts.idle_established,
    changed.timeouts_contradicted,
    changed.timeout_changed_midway,
    timeouts.ended_early,
    wire.half_open,
    wire.arp_flux,
    wire.server_held_open,
    wire.port_reuse_delay,
    wire.outside_windows,
    reused.port_reuse,
    masquerade.insert_failed,
    masquerade.masquerade_collision,
    node_ports.node_port_collision,
    servers.imbalance,
    servers.removed_server_entries,
    servers.weight_zero_still_served,
    draining.draining,
    servers.synced_copies,
    limits.table_full,
    conntrack.conntrack_table_full,
    limits.port_budget,
    limits.table_memory,
    timeouts.expires_late,
    run.foreign_entries,
    forwarding.forwarding_assumed,
    clocks.log_clock,
)

OF_IPVS = frozenset(
    {
        timeouts.idle_established,
        timeouts.expires_late,
        resets.reset_closes_early,
        wire.half_open,
        wire.port_reuse_delay,
        limits.table_full,
        limits.table_memory,
    }
)
"""Rules whose evidence and advice are of IPVS alone; netfilter directors are left out there."""


def findings(figures: Figures) -> tuple[Finding, ...]:
    """All findings of a run, the most severe first."""
    order: dict[Severity, int] = {"problem": 0, "warning": 1, "info": 2}
    by_ipvs = figures.by_ipvs
    found = (rule(by_ipvs if rule in OF_IPVS else figures) for rule in RULES)
    results = [forwarding.hedged(figures, finding) for finding in found if finding]
    return tuple(sorted(results, key=lambda finding: order[finding.severity]))


def verdict(figures: Figures) -> str:
    """The verdict: which timeout governs the decay, and its measured value.

    Of a fail-over: who followed whom, how long clients were out, and what that cost.

    Failed requests come first; success comes last. Where no request succeeded, the reason is
    the verdict: entries of unanswered connections are not worth heading a
    page with, unless the servers did answer, and the lifetimes of their entries were measured.
    That the run did not come to its end comes first.
    """
    if figures.failover is not None:
        return failover.sentence(figures.failover)
    ended = [figures.ending.text] if figures.ending and not figures.ending.is_whole else []
    ended += workers.lost_sentence(figures)
    row = governing(figures.lifetimes)
    sent = _requests(figures)
    broken = [*resets.refused_sentence(figures), *expired.late_sentence(figures)]
    lost = [*_lost(figures.events), *clocks.caveats(figures)]
    if figures.requests.sent and not figures.requests.succeeded:
        decay = [_governed(row, figures)] if row and row.lifetime_s and _answered(figures) else []
        return _sentence([*ended, *sent, *decay, *lost])
    if figures.counted:
        settled = any(service.settled for service in figures.counted)
        peaked = [words for peak in figures.peaks for words in _peak(peak, "inactive")]
        held = peaked if settled else _held(figures.peaks)
        decay = [*counter_sentences(figures.counted), *held, *lost]
        parts = [*sent, *decay] if figures.requests.failed else [*decay, *sent]
        return _sentence([*ended, *parts])
    if row is None:
        held = [] if sent else _held(figures.peaks)
        return _sentence(
            [
                *ended,
                *broken,
                *sent,
                *held,
                f"{_why_no_lifetime(figures)}, so no timeout could be measured",
                *lost,
            ]
        )
    governed = forwarding.assumption(figures, _governed(row, figures))
    peaked = _peaked(figures.peaks, row) or conntrack.held(figures, row.director)
    decay = [governed, *peaked, *lost]
    rest = [*sent, *decay] if figures.requests.failed else [*decay, *sent]
    return _sentence([*ended, *broken, *rest])


def _why_no_lifetime(figures: Figures) -> str:
    """Why no lifetime is known: no entry, or none with an observed expiry."""
    n = _entries_seen(figures.evidence) if figures.evidence else 0
    if not n:
        return "no entry was seen"
    return f"{n:,} {'entry was' if n == 1 else 'entries were'} seen, but no expiry by a timer"


def _entries_seen(evidence: Evidence) -> int:
    """How many entries polls saw, persistence templates included; a port used again is one."""
    templates = evidence.changes.where(lambda rows: rows["client_port"] == 0)
    n = len(templates[[*ENTRY_KEY]].drop_duplicates())
    return n + sum(len(rows[["director", "flow"]].drop_duplicates()) for rows in evidence.entries)


def _peaked(peaks: Sequence[Peak], row: Lifetime) -> list[str]:
    return [
        words
        for peak in peaks
        if peak.director == row.director and row.counted
        for words in _peak(peak, row.counted)
    ]


def _peak(peak: Peak, counted: Counted) -> list[str]:
    if peak.director is None:
        return []
    column = "InActConn" if counted == "inactive" else "ActiveConn"
    return [f"{column} peaked at {getattr(peak, counted)} on {peak.director}"]


def _held(peaks: Sequence[Peak]) -> list[str]:
    """The counters of a run without load, in words."""
    return [
        f"{peak.director} held up to {peak.active} active and {peak.inactive} inactive connections"
        for peak in peaks
        if peak.director and (peak.active or peak.inactive)
    ]


def _lost(events: Sequence[Event]) -> list[str]:
    """The directors that did not answer for a time, for which nothing is known of them."""
    hosts = [event.host for event in events if event.kind == "link-lost"]
    return [
        f"{host} was unreachable {hosts.count(host)} time{'s' * (hosts.count(host) > 1)}"
        for host in dict.fromkeys(hosts)
    ]


def _governed(row: Lifetime, figures: Figures) -> str:
    governed = (
        conntrack.governs(row)
        if row.counted is None
        else _GOVERNED[row.counted, row.timeout_name].format(state=row.state)
    )
    if row.lifetime_s is None and not row.n_expired:
        why = _why_not_measured(row, figures)
        seen = f"entry lifetimes are not known: {why}" if why else "no entry was seen to expire"
        return f"{governed}, but {seen}"
    lifetime_text = _lifetime_text(row)
    how = by_whom(row)
    if reported_s(row) is None:
        return (
            f"{governed}: {lifetime_text} (timeout {measured(row)}, {how} {timeout_sentence(row)})"
        )
    beside = f"{timeout_sentence(row)} {how}"
    if is_same_evidence(row):
        return f"{governed}: {lifetime_text} (timeout {beside}, configured not known)"
    judged = {True: "in agreement with", False: "not in agreement with", None: "compared with"}
    return (
        f"{governed}: {lifetime_text} (timeout {measured(row)}, {judged[agrees(row)]} the {beside})"
    )


def _why_not_measured(row: Lifetime, figures: Figures) -> str | None:
    """Why the counters do not show when entries expired; None if they do."""
    what = why_unknown(row.state, row.director)
    gaps = (gap for director in figures.measured for gap in director.not_measured)
    return next((gap.why for gap in gaps if gap.what == what), None)


_WIDE_S = 0.5
"""An uncertainty of a lifetime from which on it is stated."""


def _lifetime_text(row: Lifetime) -> str:
    lifetime = row.lifetime_s
    if lifetime is None:
        return lifetime_sentence(row)
    wide = f" ± {lifetime.uncertainty:.1f}" if lifetime.uncertainty >= _WIDE_S else ""
    return f"entries in {row.state} expired {lifetime.mean:.1f}{wide} s after their last packet"


_GOVERNED = {
    ("inactive", "tcpfin"): "tcpfin governs the decay",
    ("inactive", "udp"): "the udp timeout governs the decay",
    ("inactive", "fixed"): "tcpfin does not matter here: {state} governs the decay, a timeout "
    "fixed in the kernel",
    ("active", "tcp"): "the tcp timeout governs: entries stayed active, none became inactive",
    ("active", "fixed"): "nothing became inactive: entries stayed active in {state}, a timeout "
    "fixed in the kernel",
}
"""Which timeout governs, by how the kernel counts the entries and who sets it."""


def _requests(figures: Figures) -> list[str]:
    requests = figures.requests
    if not requests.sent:
        return []
    governed = f"{requests.succeeded} of {requests.sent} requests succeeded"
    if not requests.succeeded:
        why = failures.why_all_failed(figures)
        return [f"{governed}: {why}" if why else governed]
    why = failures.why_some_failed(figures)
    return [f"{governed} ({why})" if why else governed]


def _answered(figures: Figures) -> bool:
    """The responses other than success, in words."""
    return any(row.status is not None for row in figures.requests.errors)


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text}." if text.startswith(_NAMES) else f"{text[0].upper()}{text[1:]}."


_NAMES = ("tcpfin", "nf_conntrack")
"""Names of settings, which are written as they are also at the start of a sentence."""
