"""What conntrack keeps of each connection: its state, and what either side sent and acknowledged.

Source: ``struct ip_ct_tcp`` and ``tcp_in_window`` in net/netfilter/nf_conntrack_proto_tcp.c.
Windows and their scaling are not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.settings import FIXED
from analyzer.conntrack.states import CtState, Kind
from analyzer.ipvs.flow_steps import NO_ENTRY

if TYPE_CHECKING:
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Int8s = npt.NDArray[np.int8]

NO_KIND = -1
ORIGINAL, REPLY = 0, 1
"""Directions of a packet: from the client, and back."""


def after(number: Ints, other: Ints) -> Bools:
    """Whether sequence numbers lie after others, modulo 2^32."""
    ahead = np.asarray((number - other) & 0xFFFFFFFF)
    return np.asarray((ahead > 0) & (ahead <= 0x80000000))


class Flows:
    """What conntrack keeps of each flow's entry; arrays of shape (flows,) or (2, flows).

    Those of two rows are by direction of the sender: original, reply.
    """

    def __init__(self, size: int) -> None:
        self.state = np.full(size, NO_ENTRY, dtype=np.int8)
        self.number = np.full(size, NO_ENTRY, dtype=np.int64)
        self.sysctl = np.full(size, FIXED, dtype=np.int8)
        self.timeout_s = np.full(size, np.nan)
        self.expiry_s = np.full(size, np.nan)
        self.replied, self.assured = np.zeros((2, size), dtype=bool)
        self.close_begun, self.exchallenge, self.both_open = np.zeros((3, size), dtype=bool)
        self.picked_up = np.zeros(size, dtype=bool)
        self.stream_s = np.zeros(size)
        self.end, self.acked = np.zeros((2, 2, size), dtype=np.int64)
        self.seen, self.has_acked, self.unacked = np.zeros((3, 2, size), dtype=bool)
        self.last_kind = np.full(size, NO_KIND, dtype=np.int8)
        self.last_direction = np.zeros(size, dtype=np.int8)
        self.last_sequence, self.last_end, self.last_window = np.zeros((3, size), dtype=np.int64)
        self.last_acknowledgement, self.retransmitted = np.zeros((2, size), dtype=np.int64)

    def clear(self, slots: Ints) -> None:
        """Forget an entry, so that the next one begins with nothing."""
        if len(slots):
            for name, values in vars(self).items():
                values[..., slots] = _NOTHING[name]


_NOTHING = vars(Flows(1))


@dataclass(slots=True)
class Step:
    """One packet of each of some flows; arrays of shape (flows in it,)."""

    slots: Ints
    rows: Ints
    kind: Int8s
    direction: Int8s
    sequence: Ints
    end: Ints
    acknowledgement: Ints
    has_ack: Bools
    window: Ints
    uptime_s: Floats

    def only(self, chosen: Bools) -> Step:
        """The packets of some of the flows, in the same order."""
        if chosen.all():
            return self
        return Step(**{name: getattr(self, name)[chosen] for name in self.__slots__})


def follow(flows: Flows, step: Step) -> None:
    """Follow what each side sent and acknowledged, and count retransmissions."""
    slots, sender, other = step.slots, step.direction, 1 - step.direction
    acknowledgement = _acknowledgement(flows, step)
    fresh = ~flows.seen[sender, slots]
    further = after(step.end, flows.end[sender, slots])
    anew = fresh | (_begins(flows, step) & further)
    flows.unacked[sender, slots] |= further & ~anew
    flows.end[sender, slots] = np.where(anew | further, step.end, flows.end[sender, slots])
    flows.seen[sender, slots] = True
    acked = flows.acked[sender, slots]
    newer = step.has_ack & (~flows.has_acked[sender, slots] | after(acknowledgement, acked))
    flows.acked[sender, slots] = np.where(newer, acknowledgement, acked)
    flows.has_acked[sender, slots] |= step.has_ack
    flows.unacked[other, slots] &= acknowledgement != flows.end[other, slots]
    _count_retransmissions(flows, step.only(step.kind == Kind.ACK))


def _begins(flows: Flows, step: Step) -> Bools:
    """SYNs of either side while the handshake lasts: a further one begins it anew."""
    begins = np.asarray((step.kind == Kind.SYN) | (step.kind == Kind.SYNACK))
    if begins.any():
        state = flows.state[step.slots]
        begins &= (state == CtState.SYN_SENT) | (state == CtState.SYN_RECV)
    return begins


def _acknowledgement(flows: Flows, step: Step) -> Ints:
    """What a packet acknowledges; without a number, all that there was."""
    without = ~step.has_ack | ((step.kind == Kind.RST) & (step.acknowledgement == 0))
    all_of_it = flows.end[1 - step.direction, step.slots]
    return np.where(without, all_of_it, step.acknowledgement)


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
