"""Entry states of conntrack and the packets that move them.

Source: net/netfilter/nf_conntrack_proto_tcp.c of Linux 6.1 (``tcp_conntracks``,
``get_conntrack_index``, ``tcp_valid_flags``) and nf_conntrack_proto_udp.c. Unlike IPVS, conntrack
sees both directions of every connection or none, and not every packet counts: one that is ignored
or invalid neither moves the state nor restarts the timeout.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import State

if TYPE_CHECKING:
    import numpy.typing as npt

    Int8s = npt.NDArray[np.int8]


class CtState(IntEnum):
    """An entry's state, by the kernel's name in ``/proc/net/nf_conntrack``.

    A state that IPVS has by the same name has the same number as there
    (``analyzer.ipvs.states.State``), so that a number names a state whoever keeps the entry. UDP
    has no states; its entries are told apart by the marks UNREPLIED and ASSURED.
    """

    NONE = State.NONE
    ESTABLISHED = State.ESTABLISHED
    SYN_SENT = State.SYN_SENT
    SYN_RECV = State.SYN_RECV
    FIN_WAIT = State.FIN_WAIT
    TIME_WAIT = State.TIME_WAIT
    CLOSE = State.CLOSE
    CLOSE_WAIT = State.CLOSE_WAIT
    LAST_ACK = State.LAST_ACK
    SYN_SENT2 = 12
    UNREPLIED = 13  # UDP: no answer yet
    REPLIED = 14  # UDP: answered, not yet for long
    ASSURED = 15  # UDP: a stream


STATES = len(CtState) + 3
"""Length of an array indexed by CtState; three numbers are IPVS's alone."""

UDP_STATES = (CtState.UNREPLIED, CtState.REPLIED, CtState.ASSURED)

ACTIVE_STATES = frozenset({CtState.ESTABLISHED, CtState.REPLIED, CtState.ASSURED})
"""Counted as active, as connections that go on; the kernel itself counts neither."""


def is_active() -> npt.NDArray[np.bool_]:
    """Whether a state counts as active, indexed by CtState; shape (16,)."""
    return np.array([number in ACTIVE_STATES for number in range(STATES)])


CLOSING = frozenset(
    {
        CtState.FIN_WAIT,
        CtState.CLOSE_WAIT,
        CtState.LAST_ACK,
        CtState.TIME_WAIT,
        CtState.CLOSE,
    }
)
"""States whose entries may be dropped early from a table that is nearly full
(``tcp_can_early_drop``); a reset in one of them is believed whatever its sequence number."""


class Kind(IntEnum):
    """What a packet counts as (``enum tcp_bit_set``): RST before SYN before FIN before ACK."""

    SYN = 0
    SYNACK = 1
    FIN = 2
    ACK = 3
    RST = 4
    NONE = 5  # no flag, or a combination that no host sends
    DATAGRAM = 6


IGNORED, INVALID = -2, -3
"""What the table says instead of a state; either leaves state and timeout as they are. An ignored
packet is remembered: it may turn out that the hosts are in step and conntrack is not."""

_ABBREVIATIONS: dict[str, int] = {
    **dict(
        zip(
            ("NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2"),
            (
                CtState.NONE,
                CtState.SYN_SENT,
                CtState.SYN_RECV,
                CtState.ESTABLISHED,
                CtState.FIN_WAIT,
                CtState.CLOSE_WAIT,
                CtState.LAST_ACK,
                CtState.TIME_WAIT,
                CtState.CLOSE,
                CtState.SYN_SENT2,
            ),
            strict=True,
        )
    ),
    "IG": IGNORED,
    "IV": INVALID,
}
COLUMNS = tuple(CtState(number) for number in _ABBREVIATIONS.values() if number >= 0)
"""The present states in the order of the table's columns, which is the kernel's."""


def _table(*rows: str) -> list[list[int]]:
    """Rows as in Kind, columns as in ``COLUMNS``, to lists indexed [Kind, CtState]."""
    by_state = [[INVALID] * STATES for _ in rows]
    for into, row in zip(by_state, rows, strict=True):
        for present, cell in zip(COLUMNS, row.split(), strict=True):
            into[present] = _ABBREVIATIONS[cell]
    return by_state


# fmt: off
_ORIGINAL = _table(
    # NO SS SR ES FW CW LA TW CL S2
    "  SS SS IG IG IG IG IG SS SS S2",  # syn
    "  IV IV SR IV IV IV IV IV IV SR",  # syn-ack
    "  IV IV FW FW LA LA LA TW CL IV",  # fin
    "  ES IV ES ES CW CW TW TW CL IV",  # ack
    "  IV CL CL CL CL CL CL CL CL CL",  # rst
    "  IV IV IV IV IV IV IV IV IV IV",  # none
)
_REPLY = _table(
    # NO SS SR ES FW CW LA TW CL S2
    "  IV S2 IV IV IV IV IV SS IV S2",  # syn
    "  IV SR IG IG IG IG IG IG IG SR",  # syn-ack
    "  IV IV FW FW LA LA LA TW CL IV",  # fin
    "  IV IG SR ES CW CW TW TW CL IG",  # ack
    "  IV CL CL CL CL CL CL CL CL CL",  # rst
    "  IV IV IV IV IV IV IV IV IV IV",  # none
)
# fmt: on

TRANSITIONS: Int8s = np.array([_ORIGINAL, _REPLY], dtype=np.int8)
"""What a TCP packet leads to, indexed [0 the original direction, 1 replies; Kind; CtState]: a
CtState, IGNORED or INVALID; shape (2, 6, 16)."""

_FIN, _SYN, _RST, _ACK, _URG = 0x01, 0x02, 0x04, 0x10, 0x20
_COUNTED = _FIN | _SYN | _RST | _ACK | _URG
_KINDS = {
    _SYN: Kind.SYN,
    _SYN | _URG: Kind.SYN,
    _SYN | _ACK: Kind.SYNACK,
    _RST: Kind.RST,
    _RST | _ACK: Kind.RST,
    _FIN | _ACK: Kind.FIN,
    _FIN | _ACK | _URG: Kind.FIN,
    _ACK: Kind.ACK,
    _ACK | _URG: Kind.ACK,
}
"""The combinations of flags that are valid; PSH, ECE and CWR do not count."""

_KIND_OF_BYTE = np.array([_KINDS.get(byte & _COUNTED, Kind.NONE) for byte in range(256)], np.int8)


def kind_of(tcp_flags: npt.NDArray[np.uint8]) -> Int8s:
    """The Kind of each TCP packet from its flag byte; same shape."""
    return np.asarray(_KIND_OF_BYTE[tcp_flags], dtype=np.int8)
