"""Which packets lie within the windows that the two sides gave each other, as conntrack judges it.

Source: ``tcp_in_window``, ``tcp_init_sender`` and ``tcp_options`` in
net/netfilter/nf_conntrack_proto_tcp.c of Linux 6.1. A side may send up to what the other has
acknowledged plus its largest window, and acknowledge what the other has sent. Selective
acknowledgements are not read: with them the kernel allows a little more beyond a gap, as hosts do
not send it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.flows import REPLY, after
from analyzer.conntrack.states import CtState, Kind

if TYPE_CHECKING:
    from analyzer.conntrack.flows import Bools, Flows, Int8s, Ints, Step

WITHIN, LATE, BEYOND = 0, 1, 2
"""Where a packet lies: the kernel accepts it; it comes before its window, or a little beyond; or
beyond it, or acknowledges what was never sent. The latter two move nothing."""

MAX_ACK_WINDOW = 66_000
NO_SCALE, NO_OPTIONS, CUT_OFF = -1, -2, -3
"""In place of a SYN's window scale: the options have none; there are no options; they were not
captured whole, or the segment has no SYN, and nobody reads its options."""

_UNSCALED = 0


def follow(flows: Flows, step: Step, liberal: Bools) -> Int8s:
    """Judge one packet of each of some flows, and keep what it sent and acknowledged.

    Args:
        flows: what is known of them.
        step: the packets.
        liberal: where a packet outside of its window is accepted all the same.

    Returns:
        WITHIN, LATE or BEYOND of each.
    """
    slots, sender = step.slots, step.direction
    fresh = flows.max_window[sender, slots] == 0
    is_syn = (step.kind == Kind.SYN) | (step.kind == Kind.SYNACK)
    begins = is_syn & fresh
    if is_syn.any():
        state = flows.state[slots]
        shakes = (state == CtState.SYN_SENT) | (state == CtState.SYN_RECV)
        begins |= is_syn & shakes & after(step.end, flows.end[sender, slots])
        _begin(flows, step.only(begins))
    if (fresh & ~is_syn).any():
        _begin_midway(flows, step.only(fresh & ~is_syn))
    at_once = begins & ~step.has_ack & (fresh | (sender == REPLY))
    places = np.full(len(slots), WITHIN, dtype=np.int8)
    places[~at_once] = _judged(flows, step.only(~at_once), liberal[~at_once])
    return places


def invalid(places: Int8s, *, passes_late: bool) -> Bools:
    """Which packets are INVALID: beyond their windows, and late ones where the law has it so."""
    return np.asarray(places == BEYOND if passes_late else places != WITHIN)


def keep_options(flows: Flows, step: Step, side: Int8s | int) -> None:
    """Take over a SYN's window scale; without any options what was known stays."""
    slots, scale = step.slots, step.window_scale
    known = scale != NO_OPTIONS
    flows.lenient[slots] |= scale == CUT_OFF
    old, had = flows.scale[side, slots], flows.has_scale[side, slots]
    flows.scale[side, slots] = np.where(known, np.maximum(scale, _UNSCALED), old)
    flows.has_scale[side, slots] = np.where(known, scale >= 0, had)
    flows.unacked[side, slots] &= ~known
    flows.has_acked[side, slots] &= ~known


def _begin(flows: Flows, step: Step) -> None:
    """A side begins with a SYN: both scale their windows, or neither does."""
    slots, sender, other = step.slots, step.direction, 1 - step.direction
    flows.end[sender, slots] = flows.max_end[sender, slots] = step.end
    flows.max_window[sender, slots] = np.maximum(step.window, 1)
    keep_options(flows, step, sender)
    one_sided = ~(flows.has_scale[sender, slots] & flows.has_scale[other, slots])
    one_sided &= sender == REPLY
    flows.scale[:, slots[one_sided]] = _UNSCALED


def _begin_midway(flows: Flows, step: Step) -> None:
    """A side's first packet, which is no SYN: its history is lost."""
    slots, sender, other = step.slots, step.direction, 1 - step.direction
    window = np.maximum(step.window << flows.scale[sender, slots].astype(np.int64), 1)
    flows.end[sender, slots] = step.end
    flows.max_window[sender, slots] = window
    flows.max_end[sender, slots] = step.end + window
    unseen = flows.max_window[other, slots] == 0
    acknowledged = step.acknowledgement
    behind = ~unseen & (acknowledged == ((flows.end[other, slots] + 1) & 0xFFFFFFFF))
    flows.end[other, slots] = np.where(unseen | behind, acknowledged, flows.end[other, slots])
    flows.max_end[other, slots] = np.where(unseen, acknowledged, flows.max_end[other, slots])


def _judged(flows: Flows, step: Step, liberal: Bools) -> Int8s:
    slots, sender, other = step.slots, step.direction, 1 - step.direction
    sequence, end = _sequence_and_end(flows, step)
    acknowledgement = _acknowledgement(flows, step)
    sent, received = flows.end[sender, slots], flows.end[other, slots]
    may_send, own_window = flows.max_end[sender, slots], flows.max_window[sender, slots]
    window = flows.max_window[other, slots]
    begins_in = after(may_send + 1, sequence)
    ends_in = after(end, sent - window - 1)
    was_sent = after(received + 1, acknowledgement)
    is_recent = after(acknowledgement, received - np.maximum(own_window, MAX_ACK_WINDOW) - 1)
    overshot = (end - may_send + 1) & 0xFFFFFFFF
    over = ~begins_in & was_sent & is_recent & (window > 0) & ends_in & (overshot <= window)
    within = begins_in & was_sent & is_recent & (ends_in | (window == 0))
    beyond = ~over & ~(begins_in & was_sent)
    _keep(flows, step.only(within), end[within], acknowledgement[within])
    flows.end[sender[over], slots[over]] = end[over]
    flows.unacked[sender[over], slots[over]] = True
    accepted = within | liberal | flows.picked_up[slots] | flows.lenient[slots]
    return np.select([accepted, beyond], [np.int8(WITHIN), np.int8(BEYOND)], np.int8(LATE))


def _sequence_and_end(flows: Flows, step: Step) -> tuple[Ints, Ints]:
    """A reset that answers a SYN may have the number 0: it then stands for what was sent."""
    refuses = (step.kind == Kind.RST) & (step.sequence == 0)
    if refuses.any():
        refuses &= flows.state[step.slots] == CtState.SYN_SENT
        sent = flows.end[step.direction, step.slots]
        return np.where(refuses, sent, step.sequence), np.where(refuses, sent, step.end)
    return step.sequence, step.end


def _acknowledgement(flows: Flows, step: Step) -> Ints:
    """What a packet acknowledges; without a number, all that there was."""
    without = ~step.has_ack | ((step.kind == Kind.RST) & (step.acknowledgement == 0))
    all_of_it = flows.end[1 - step.direction, step.slots]
    return np.where(without, all_of_it, step.acknowledgement)


def _keep(flows: Flows, step: Step, end: Ints, acknowledgement: Ints) -> None:
    """What packets within their windows sent and acknowledged, and how often one was repeated."""
    slots, sender, other = step.slots, step.direction, 1 - step.direction
    is_syn = (step.kind == Kind.SYN) | (step.kind == Kind.SYNACK)
    bits = np.where(is_syn, np.int64(0), flows.scale[sender, slots].astype(np.int64))
    window = step.window << bits
    flows.max_window[sender, slots] = np.maximum(flows.max_window[sender, slots], window)
    further = after(end, flows.end[sender, slots])
    flows.end[sender, slots] = np.where(further, end, flows.end[sender, slots])
    flows.unacked[sender, slots] |= further
    acked = flows.acked[sender, slots]
    newer = step.has_ack & (~flows.has_acked[sender, slots] | after(acknowledgement, acked))
    flows.acked[sender, slots] = np.where(newer, acknowledgement, acked)
    flows.has_acked[sender, slots] |= step.has_ack
    more = (end - flows.max_end[sender, slots]) & 0xFFFFFFFF
    wider = (flows.max_window[other, slots] != 0) & after(end, flows.max_end[sender, slots])
    flows.max_window[other, slots] += np.where(wider, more, 0)
    allowed, known = acknowledgement + window, flows.max_end[other, slots]
    flows.max_end[other, slots] = np.where(
        after(allowed, known - 1), (allowed + (window == 0)) & 0xFFFFFFFF, known
    )
    flows.unacked[other, slots] &= acknowledgement != flows.end[other, slots]
    _count_retransmissions(flows, step.only(step.kind == Kind.ACK))


def _count_retransmissions(flows: Flows, step: Step) -> None:
    slots = step.slots
    again = (
        (flows.last_direction[slots] == step.direction)
        & (flows.last_sequence[slots] == step.sequence)
        & (flows.last_acknowledgement[slots] == step.acknowledgement)
        & (flows.last_end[slots] == step.end)
        & (flows.last_window[slots] == step.window)
    )
    flows.retransmitted[slots] = np.where(again, flows.retransmitted[slots] + 1, 0)
    flows.last_sequence[slots], flows.last_end[slots] = step.sequence, step.end
    flows.last_acknowledgement[slots] = step.acknowledgement
    flows.last_window[slots] = step.window
