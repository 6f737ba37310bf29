"""Findings of a fail-over: what the packets show, and which settings shorten it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.recording.hosts import CLIENT
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.failover.results import Failover, InFlight, MasterGap
    from analyzer.findings.figures import Figures

DIFFERS_S = 0.1
"""Seconds between the predicted and the measured outage, beyond the fault's uncertainty."""

TWICE_S = 1.0
"""Seconds with two masters that are more than a take-over in progress."""

EXPECTED_CHANGES = 2
"""Changes of mastership in a fail-over and its fail-back."""

LONG_S = 3.0
LATE_S = 1.0
"""Seconds by which a take-over may be later than its timers say."""

MOST_NAMES = 3


def sentence(failover: Failover) -> str:
    """The verdict: who followed whom, how long clients were out, and what that cost."""
    if not failover.valid:
        return f"This fail-over run is invalid: {failover.why_invalid}."
    if failover.observed_only:
        return _observed(failover)
    parts = [
        _outage(failover),
        *_requests(failover),
        *_in_flight_text(failover),
        *_failback_text(failover),
        *_way_back_text(failover),
        *_seen_by(failover),
    ]
    return f"{_took_over(failover)}: {'; '.join(parts)}."


def _observed(failover: Failover) -> str:
    """Of a capture of VRRP alone: who was master, the first change, and how often it went on."""
    routers = {mastership.vrid for mastership in failover.reigns}
    vips = {vip: None for mastership in failover.reigns for vip in mastership.vips}
    of = f"VRRP {', '.join(map(str, sorted(routers)))}"
    of += f" ({_listed(list(vips))})" if vips else ""
    if not failover.master_changes:
        names = dict.fromkeys(mastership.director for mastership in failover.reigns)
        return _sentence_of(
            [f"{of}: {_listed(list(names))} advertised as master, no take-over was seen"], failover
        )
    changes = failover.master_changes
    often = [] if changes == 1 else [f"mastership moved {changes} times"]
    return _sentence_of([f"{of}: {_took_over(failover)}{_when(failover)}", *often], failover)


def _sentence_of(parts: list[str], failover: Failover) -> str:
    if failover.two_masters_s:
        parts.append(f"two masters at once for {failover.two_masters_s:.1f} s")
    if failover.gaps:
        gone_s = sum(gap.to_s - gap.from_s for gap in failover.gaps)
        parts.append(f"nobody advertised for {gone_s:.1f} s in all")
    return f"{'; '.join(parts)}."


def _when(failover: Failover) -> str:
    at = f" {failover.takeover_s:.1f} s into the capture" if failover.takeover_s is not None else ""
    gap = next((gap for gap in failover.gaps if gap.to_s == failover.takeover_s), None)
    if failover.how is None:
        return f"{at}, while that still advertised"
    if gap is None:
        return at
    since = "its last advertisement" if failover.how == "silence" else "it gave up with priority 0"
    return f"{at}, {gap.to_s - gap.from_s:.2f} s after {since}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown


def _took_over(failover: Failover) -> str:
    cause = f" after {_cause(failover.fault)}" if failover.fault else ""
    if failover.new_master is None:
        return (
            f"No director was seen to take over from {failover.old_master or 'the master'}{cause}"
        )
    return f"{failover.new_master} took over from {failover.old_master}{cause}"


def _cause(fault: str) -> str:
    """A lab's fault as ``link-down of bal01``; a command unchanged."""
    host, colon, kind = fault.partition(": ")
    return f"{kind} of {host}" if colon and " " not in fault.replace(": ", "") else fault


def _outage(failover: Failover) -> str:
    predicted = (
        ""
        if failover.predicted_outage_s is None
        else f" (predicted {failover.predicted_outage_s:.2f} ± "
        f"{(failover.prediction_uncertainty_s or 0) + (failover.resolution_s or 0):.2f} s)"
    )
    if failover.outage_s is None:
        return f"the outage was not measured{predicted}"
    if not failover.outage_over:
        return (
            f"clients were cut off for {failover.outage_s:.2f} s, to the end of the run{predicted}"
        )
    return f"clients were cut off for {failover.outage_s:.2f} s{predicted}"


def _requests(failover: Failover) -> list[str]:
    return [f"of {failover.sent} requests {failover.late} were late and {failover.failed} failed"]


def _in_flight_text(failover: Failover) -> list[str]:
    kinds = failover.in_flight.values()
    whole = sum(kind.survived + kind.reset + kind.other for kind in kinds)
    if not whole:
        return []
    return [f"{sum(kind.survived for kind in kinds)} of {whole} connections in flight survived"]


def _failback_text(failover: Failover) -> list[str]:
    back = failover.failback
    if back is None or back.gap_s is None:
        return []
    lost = f", {back.late} late and {back.failed} failed" if back.late or back.failed else ""
    return [f"failback cost {back.gap_s:.2f} s{lost}, and reset {back.reset} connections"]


def _way_back_text(failover: Failover) -> list[str]:
    """Whether the old master took the VIP back, where the directors' settings say if it should."""
    back = failover.failback
    if back is None or not (back.never_due or back.due_s):
        return []
    if back.master_again_s is None:
        why = " (nopreempt)" if back.never_due else " by the run's end"
        return [f"{failover.old_master} did not take the VIP back{why}"]
    due = "which nopreempt should have prevented"
    if back.due_s is not None:
        due = f"due after {back.due_s[0]:.2f} to {back.due_s[1]:.2f} s"
    again_s = back.master_again_s
    return [f"{failover.old_master} was master again {again_s:.2f} s after the undoing ({due})"]


def _seen_by(failover: Failover) -> list[str]:
    """Whose capture the prediction is from, where it is not the client's."""
    if failover.seen_by in (None, CLIENT):
        return []
    return [f"advertisements as {failover.seen_by} captured them"]


def failover_invalid(figures: Figures) -> Finding | None:
    """The run proves nothing."""
    failover = figures.failover
    if failover is None or failover.valid:
        return None
    return Finding(
        id="failover-invalid",
        severity="problem",
        title="This fail-over run is invalid",
        evidence=f"{failover.why_invalid}.",
        advice="One director must hold the VIP, the others must be BACKUP, and all need the same "
        "services: correct this and run again. No figure of this run may be used.",
    )


def failover_differs(figures: Figures) -> Finding | None:
    """The clients' outage was longer or shorter than the packets explain."""
    failover = _valid(figures)
    if failover is None or failover.outage_s is None or failover.predicted_outage_s is None:
        return None
    apart_s = failover.outage_s - failover.predicted_outage_s
    known_s = (failover.prediction_uncertainty_s or 0) + (failover.resolution_s or 0)
    allowed_s = DIFFERS_S + known_s + failover.client_late_s
    if abs(apart_s) <= allowed_s:
        return None
    return Finding(
        id="failover-differs",
        severity="warning",
        title=f"The outage was {abs(apart_s):.2f} s {'longer' if apart_s > 0 else 'shorter'} than "
        "the VRRP advertisements explain",
        evidence=f"Clients measured {failover.outage_s:.2f} s, predicted "
        f"{failover.predicted_outage_s:.2f} "
        f"± {failover.prediction_uncertainty_s or 0:.2f} s. {_parts(failover)}",
        advice="Compare the parts: a backup may have acted slowly, gratuitous ARP may have come "
        "late or been ignored, or the old master may have gone on for a while.",
    )


def _parts(failover: Failover) -> str:
    if failover.parts_s is None:
        return "The capture does not show its parts."
    named = {
        "detection": failover.parts_s.detection,
        "take-over": failover.parts_s.takeover,
        "gratuitous ARP": failover.parts_s.gratuitous_arp,
        "first success": failover.parts_s.first_success,
    }
    return ", ".join(f"{name} {s:.3f} s" for name, s in named.items() if s is not None) + "."


def black_hole(figures: Figures) -> Finding | None:
    """A director became master again and sent no gratuitous ARP."""
    failover = _valid(figures)
    hole = failover.black_hole if failover else None
    if failover is None or hole is None:
        return None
    lasted = "to the end of the run" if hole.lasted_s is None else f"for {hole.lasted_s:.2f} s"
    is_long = hole.lasted_s is None or hole.lasted_s > LONG_S
    return Finding(
        id="black-hole",
        severity="problem" if is_long else "warning",
        title=f"A black hole {lasted}: {hole.director} was master again and sent no gratuitous ARP",
        evidence=f"From {hole.from_s:.2f} s on, {lasted}, no connection was established, although "
        f"{hole.director} advertised; {hole.requests} requests were late or failed. Clients kept "
        "sending to the MAC address of the director that had been master in between.",
        advice="A director that stayed master throughout a network partition sends no gratuitous "
        "ARP when the partition ends. Set vrrp_garp_master_refresh (off by default) to a few "
        "seconds: the black hole then lasts no longer than that. With use_vmac the MAC address of "
        "the VIP does not change at all.",
    )


def two_masters(figures: Figures) -> Finding | None:
    """Two directors advertised at the same time."""
    failover = _valid(figures)
    if failover is None or failover.two_masters_s < TWICE_S:
        return None
    names = " and ".join(dict.fromkeys(interval.director for interval in failover.reigns))
    return Finding(
        id="two-masters",
        severity="problem",
        title=f"Two masters at once for {failover.two_masters_s:.1f} s",
        evidence=f"{names} advertised the same virtual router at the same time.",
        advice="They do not receive each other's advertisements: check for filtered multicast "
        "(224.0.0.18, protocol 112), or with unicast for a wrong unicast_peer or a security group "
        "without protocol 112; a split switch, different authentication, or one "
        "virtual_router_id used twice.",
    )


def flapping(figures: Figures) -> Finding | None:
    """Mastership moved more often than in one fail-over and fail-back."""
    failover = _valid(figures)
    if failover is None or failover.master_changes <= EXPECTED_CHANGES:
        return None
    return Finding(
        id="flapping",
        severity="warning",
        title=f"Mastership moved {failover.master_changes} times",
        evidence="; ".join(
            f"{interval.director} {interval.from_s:.1f} to {interval.to_s:.1f} s"
            for interval in failover.reigns
        )
        + ".",
        advice="nopreempt or preempt_delay keeps the VIP where it is; three lost advertisements in "
        "a row cause a take-over, so check for a saturated link or a busy director.",
    )


def no_master(figures: Figures) -> Finding | None:
    """Nobody advertised, and nobody took over when that was due."""
    failover = _valid(figures)
    gaps = [gap for gap in failover.gaps if _is_overdue(gap)] if failover else []
    if not gaps:
        return None
    gone_s = sum(gap.to_s - gap.from_s for gap in gaps)
    return Finding(
        id="no-master",
        severity="problem",
        title=f"No master for {gone_s:.1f} s",
        evidence="; ".join(
            f"VRRP {gap.vrid}: nobody advertised from {gap.from_s:.1f} to {gap.to_s:.1f} s, then "
            f"{gap.new_master or 'the capture ended'}"
            for gap in gaps[:MOST_NAMES]
        )
        + ".",
        advice="No backup took over when the master was silent: check that one runs and is not "
        "in FAULT state (track_script, track_interface), and that this capture would have seen it: "
        "multicast reaches every host of the link, unicast only its peers.",
    )


def _is_overdue(gap: MasterGap) -> bool:
    return gap.due_s is None or gap.to_s - gap.from_s > gap.due_s + LATE_S


def keepalived_alone(figures: Figures) -> Finding | None:
    """Keepalived stopped while its director went on forwarding."""
    failover = _valid(figures)
    if failover is None or failover.how != "keepalived-alone":
        return None
    return Finding(
        id="keepalived-alone",
        severity="warning",
        title=f"keepalived stopped on {failover.old_master}, which went on forwarding: "
        "two directors hold the VIP",
        evidence=f"Its advertisements stopped, but connects succeeded until "
        f"{failover.new_master} took over {failover.master_down_interval_s or 0:.2f} s "
        "after the last one. The VIP stayed on both directors.",
        advice="New connections are not affected; those in flight are reset when ARP moves, and a "
        "client that sends an ARP request later may reach either director. Have keepalived "
        "restarted at once (systemd Restart=always), or the VIP removed when it stops.",
    )


def bfd(figures: Figures) -> Finding | None:
    """BFD reported a neighbour down, and mastership moved for that."""
    failover = _valid(figures)
    if failover is None or failover.how != "bfd":
        return None
    return Finding(
        id="bfd-take-over",
        severity="info",
        title=f"BFD caused the take-over from {failover.old_master} by {failover.new_master}",
        evidence="A BFD neighbour was lost just before mastership moved. Without BFD the backup "
        f"waits up to {failover.master_down_interval_s or 0:.2f} s.",
        advice="The outage is BFD's detection time, its multiplier times its interval, and after "
        "priority 0 the backup's skew. Intervals below some 100 ms on a busy director cause "
        "take-overs without a fault.",
    )


def clean_stop(figures: Figures) -> Finding | None:
    """The master stopped cleanly, with priority 0."""
    failover = _valid(figures)
    if failover is None or failover.how != "clean-stop" or failover.skew_s is None:
        return None
    return Finding(
        id="clean-stop",
        severity="info",
        title=f"{failover.old_master} stopped cleanly, with priority 0: the backup waited only "
        f"{failover.skew_s:.2f} s",
        evidence=f"After priority 0 a backup waits for its skew time, not for its whole master "
        f"down interval of {failover.master_down_interval_s or 0:.2f} s.",
        advice="Stop keepalived before a reboot or an upgrade. A higher priority of the backup "
        "shortens the skew time: (256 - priority) / 256 of an advertisement interval.",
    )


def preemption(figures: Figures) -> Finding | None:
    """The old master took the VIP back, and that reset connections."""
    failover = _valid(figures)
    back = failover.failback if failover else None
    if failover is None or back is None or back.master_again_s is None or not back.reset:
        return None
    return Finding(
        id="preemption",
        severity="warning",
        title=f"{failover.old_master} took the VIP back: "
        f"{back.reset} connections in flight were reset",
        evidence=f"It was master again {back.master_again_s:.2f} s after the fault was undone. New "
        f"connections waited {back.gap_s or 0:.2f} s at most; in flight: {_fates(back.in_flight)}.",
        advice="Preemption costs connections and gains nothing: set nopreempt, with state BACKUP "
        "on both. Where it is required, use preempt_delay with the sync daemon and a small sync "
        'period (sync_threshold "3 10"), so that entries made in between are copied in time.',
    )


def connections_reset(figures: Figures) -> Finding | None:
    """The new master had no entries for the connections of the old master."""
    failover = _valid(figures)
    reset = sum(kind.reset for kind in failover.in_flight.values()) if failover else 0
    if failover is None or not reset:
        return None
    known = (
        ""
        if failover.would_survive is None
        else f" {failover.new_master} had copies of {failover.would_survive} of its open entries."
    )
    return Finding(
        id="connections-reset",
        severity="warning",
        title=f"{reset} connections in flight were reset by the fail-over",
        evidence=f"In flight: {_fates(failover.in_flight)}.{known}",
        advice="A director without an entry answers a packet in mid-connection with RST. Run the "
        "IPVS sync daemon on both (lvs_sync_daemon; sync_threshold sets from which packet on an "
        "entry is copied), or schedule with mh, mh-port and net.ipv4.vs.sloppy_tcp=1 on both.",
    )


def syn_retries(figures: Figures) -> Finding | None:
    """SYNs were retransmitted: the delays that single clients measure as the outage."""
    failover = _valid(figures)
    if failover is None or not failover.syn_retries or failover.outage_s is None:
        return None
    by_second = ", ".join(f"{n} after {second} s" for second, n in failover.syn_retries.items())
    return Finding(
        id="syn-retries",
        severity="info",
        title="Late connects waited for a retransmitted SYN, not for the outage",
        evidence=f"Connected by a retransmission: {by_second}. The outage was "
        f"{failover.outage_s:.2f} s.",
        advice="A client retransmits its SYN after 1, 2, 3 and 4 s (Linux 6.5 and later) or after "
        "1, 3 and 7 s; so a single curl shows one of these numbers, never the outage. A shorter "
        "client timeout turns late requests into failed ones.",
    )


def _fates(kinds: Mapping[str, InFlight]) -> str:
    return "; ".join(
        f"{kind}: {fate.survived} survived, {fate.reset} reset"
        + (f", {fate.other} unknown" if fate.other else "")
        for kind, fate in kinds.items()
    )


def _valid(figures: Figures) -> Failover | None:
    failover = figures.failover
    return failover if failover is not None and failover.valid else None
