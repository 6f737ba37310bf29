"""What of conntrack's law differs between kernels."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.ipvs.versions import ASSUMED, VersionChange, release_of, stable_of

SYN_NOT_RENEWED = (5, 14)
ASSURED_IS_STREAM = (5, 16)
UDP_STREAM_AFTER_2_S = (5, 0)

_SYN_IN_STABLE = {(5, 4): 231, (5, 10): 167}

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
        source="net/netfilter/nf_conntrack_proto_udp.c, nf_conntrack_udp_packet",
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
        source="net/netfilter/nf_conntrack_proto_udp.c, nf_conntrack_udp_packet",
        carried_back="stable trees of the end of 2021 may have it",
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
        since: the changes that it has, or that are taken for granted where it is not known.
        uncertain: those that its version does not have but its distributor may.
    """

    renews_unanswered_syn: bool
    assures_at_once: bool
    streams_at_once: bool
    since: tuple[VersionChange, ...]
    uncertain: tuple[VersionChange, ...]


def law_of(kernel: str | None) -> ConntrackLaw:
    """The rules of a kernel; one that is not known is taken for 6.1.

    Args:
        kernel: ``uname -r`` of the director, untrusted; None where it is not known.
    """
    release = release_of(kernel) or ASSUMED
    has_syn = release >= SYN_NOT_RENEWED or stable_of(kernel) >= _SYN_IN_STABLE.get(release, 2**31)
    return ConntrackLaw(
        renews_unanswered_syn=not has_syn,
        assures_at_once=release < ASSURED_IS_STREAM,
        streams_at_once=release < UDP_STREAM_AFTER_2_S,
        since=tuple(one for one in CHANGES if release >= one.since),
        uncertain=tuple(one for one in CHANGES if one.carried_back and release < one.since),
    )
