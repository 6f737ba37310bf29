"""What conntrack keeps of each connection: its state, and what either side sent and acknowledged.

Source: ``struct ip_ct_tcp`` in include/linux/netfilter/nf_conntrack_tcp.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.settings import FIXED
from analyzer.ipvs.flow_steps import NO_ENTRY

if TYPE_CHECKING:
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Int8s = npt.NDArray[np.int8]

NO_KIND = -1
NO_NUMBER = -1
ORIGINAL, REPLY = 0, 1
"""Directions of a packet: from the client, and back."""


def after(number: Ints, other: Ints) -> Bools:
    """Whether sequence numbers lie after others, modulo 2^32."""
    ahead = np.asarray((number - other) & 0xFFFFFFFF)
    return np.asarray((ahead > 0) & (ahead <= 0x80000000))


class Flows:
    """What conntrack keeps of each flow's entry; arrays of shape (flows,) or (2, flows).

    Those of two rows are by direction of the sender: original, reply. ``end`` is what it sent,
    ``max_end`` what it may send, ``max_window`` the largest window that it gave, 0 before its first
    packet; ``lenient`` where windows are not judged. ``refused_at`` is the sequence number of the
    reset with which the director itself answers the client's packet that was not translated.
    """

    def __init__(self, size: int) -> None:
        self.state = np.full(size, NO_ENTRY, dtype=np.int8)
        self.number = np.full(size, NO_ENTRY, dtype=np.int64)
        self.sysctl = np.full(size, FIXED, dtype=np.int8)
        self.timeout_s = np.full(size, np.nan)
        self.expiry_s = np.full(size, np.nan)
        self.replied, self.assured = np.zeros((2, size), dtype=bool)
        self.close_begun, self.exchallenge, self.both_open = np.zeros((3, size), dtype=bool)
        self.picked_up, self.lenient = np.zeros((2, size), dtype=bool)
        self.stream_s = np.zeros(size)
        self.end, self.max_end, self.max_window, self.acked = np.zeros((4, 2, size), dtype=np.int64)
        self.scale = np.zeros((2, size), dtype=np.int8)
        self.has_scale, self.has_acked, self.unacked = np.zeros((3, 2, size), dtype=bool)
        self.last_kind = np.full(size, NO_KIND, dtype=np.int8)
        self.last_direction, self.last_scale = np.zeros((2, size), dtype=np.int8)
        self.last_sequence, self.last_end, self.last_window = np.zeros((3, size), dtype=np.int64)
        self.last_acknowledgement, self.retransmitted = np.zeros((2, size), dtype=np.int64)
        self.refused_at = np.full(size, NO_NUMBER, dtype=np.int64)

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
    window_scale: Int8s
    uptime_s: Floats

    def only(self, chosen: Bools) -> Step:
        """The packets of some of the flows, in the same order."""
        if chosen.all():
            return self
        return Step(**{name: getattr(self, name)[chosen] for name in self.__slots__})
