"""What of conntrack's law differs between kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.ipvs.versions import ASSUMED, VersionChange, release_of, stable_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.versions import Release

SYN_NOT_RENEWED = (5, 14)
ASSURED_IS_STREAM = (5, 16)
UDP_STREAM_AFTER_2_S = (5, 0)
LATE_IS_NOT_INVALID = (6, 1)

_IN_STABLE: Mapping[Release, Mapping[Release, int]] = {
    SYN_NOT_RENEWED: {(5, 4): 231, (5, 10): 167},
    ASSURED_IS_STREAM: {(5, 4): 160, (5, 10): 80, (5, 15): 3},
}
"""The stable releases that have a change too, by its first release; those of November 2021 were
made together."""
_NO_STABLE = 1 << 31

CHANGES: tuple[VersionChange, ...] = (
    VersionChange(
        since=(4, 9),
        what="Entries have no timers of their own: one past its timeout is gone for packets and "
        "reads at once, and is freed by the next read or by the garbage collector.",
        known="source",
        source="net/netfilter/nf_conntrack_core.c, nf_ct_is_expired, gc_worker; "
        "nf_conntrack_standalone.c, ct_seq_show",
    ),
    VersionChange(
        since=UDP_STREAM_AFTER_2_S,
        what="A UDP flow is a stream, with its longer timeout, only 2 s after its first datagram; "
        "before, from its second answer on.",
        known="source",
        source="net/netfilter/nf_conntrack_proto_udp.c (commit d535c8a69c19)",
    ),
    VersionChange(
        since=SYN_NOT_RENEWED,
        what="A retransmitted SYN that nobody answered no longer restarts the timeout.",
        known="source",
        source="net/netfilter/nf_conntrack_proto_tcp.c (commit e15d4cdf27cb)",
        carried_back="5.4.231 and 5.10.167 have it, and so may distributions",
    ),
    VersionChange(
        since=ASSURED_IS_STREAM,
        what="A UDP flow is marked ASSURED when it becomes a stream; before, with the first packet "
        "after an answer.",
        known="source",
        source="net/netfilter/nf_conntrack_proto_udp.c (commit b7b1d02fc439)",
        carried_back="5.4.160, 5.10.80 and 5.15.3 have it, and so may distributions",
    ),
    VersionChange(
        since=LATE_IS_NOT_INVALID,
        what="A packet before its window is translated; before, it was INVALID, as one beyond its "
        "window still is. FINs or resets beyond their windows on both sides shorten the timeout to "
        "that of unacknowledged data.",
        known="source",
        source="net/netfilter/nf_conntrack_proto_tcp.c, tcp_in_window, nf_tcp_handle_invalid "
        "(commits 6e250dcbff1d, 628d694344a0)",
    ),
)
"""Differences in the order of their releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackLaw:
    """The rules of one kernel.

    Attributes:
        renews_unanswered_syn: each retransmitted SYN restarts the timeout of SYN_SENT.
        assures_at_once: a UDP flow is marked ASSURED with the first packet after an answer, stream
            or not.
        streams_at_once: a UDP flow is a stream from the first packet after an answer.
        passes_late: a packet before its window is not INVALID; FINs and resets beyond their windows
            shorten the timeout.
        since: the changes that it has, or that are taken for granted where it is not known;
            those that its stable release took over too.
        uncertain: those that its version does not have but its distributor may.
    """

    renews_unanswered_syn: bool
    assures_at_once: bool
    streams_at_once: bool
    passes_late: bool
    since: tuple[VersionChange, ...]
    uncertain: tuple[VersionChange, ...]


def law_of(kernel: str | None) -> ConntrackLaw:
    """The rules of a kernel; one that is not known is taken for 6.1.

    Args:
        kernel: ``uname -r`` of the director, untrusted; None where it is not known.
    """
    release = release_of(kernel) or ASSUMED
    stable = stable_of(kernel)

    def has(since: Release) -> bool:
        return release >= since or stable >= _IN_STABLE.get(since, {}).get(release, _NO_STABLE)

    return ConntrackLaw(
        renews_unanswered_syn=not has(SYN_NOT_RENEWED),
        assures_at_once=not has(ASSURED_IS_STREAM),
        streams_at_once=not has(UDP_STREAM_AFTER_2_S),
        passes_late=has(LATE_IS_NOT_INVALID),
        since=tuple(one for one in CHANGES if has(one.since)),
        uncertain=tuple(one for one in CHANGES if one.carried_back and not has(one.since)),
    )
