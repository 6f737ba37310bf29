"""Entry states of the kernel: states, transitions, timeouts.

Theory of operation. For each connection the director keeps an *entry*, and in it a state. Every
packet of the connection that passes the director moves the state by one of three tables and
restarts the entry's timer with the timeout of the state it led to. The state is a guess from the
packets that the director sees; it is not the TCP state of a socket on either host.

Source: net/netfilter/ipvs/ip_vs_proto_tcp.c of Linux 6.1 (``tcp_states``, ``tcp_timeouts``,
``tcp_state_active_table``, ``tcp_state_idx``) and ip_vs_proto_udp.c. The diagrams of
docs/model.md are drawn from the tables below.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.ipvs.versions import law_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Int8s = npt.NDArray[np.int8]

SettableName = Literal["tcp", "tcpfin", "udp"]
TimeoutName = Literal["tcp", "tcpfin", "udp", "fixed"]


class State(IntEnum):
    """An entry's state, in the kernel's order and by the kernel's name in ``ip_vs_conn``."""

    NONE = 0
    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT = 4
    TIME_WAIT = 5
    CLOSE = 6
    CLOSE_WAIT = 7
    LAST_ACK = 8
    LISTEN = 9
    SYNACK = 10
    UDP = 11  # the one state of a UDP entry, last, so that TCP's keep the kernel's numbers


TCP_STATES = tuple(state for state in State if state is not State.UDP)


class Flag(IntEnum):
    """What a packet counts as: its first in the order RST, SYN, FIN, ACK (``tcp_state_idx``)."""

    SYN = 0
    FIN = 1
    ACK = 2
    RST = 3
    BARE = 4  # none of the four
    DATAGRAM = 5  # not TCP: UDP


class TransitionTable(IntEnum):
    """The transition table that a packet uses; the first axis of ``TRANSITIONS``."""

    INPUT = 0  # client to server, where the director also sees the replies
    OUTPUT = 1  # server to client
    INPUT_ONLY = 2  # client to server, no reply ever seen: dr and tun (NOOUTPUT)


_ABBREVIATIONS = dict(
    zip(("NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA"), TCP_STATES, strict=True)
)
_BARE_ROW = "CL " * len(TCP_STATES)  # a packet with none of the flags closes, whatever the state


def _table(*rows: str) -> list[list[State]]:
    """Rows syn, fin, ack, rst; columns the present TCP state; UDP added, which has no other."""
    tcp = [[_ABBREVIATIONS[cell] for cell in row.split()] for row in (*rows, _BARE_ROW)]
    return [[*row, State.UDP] for row in tcp] + [[State.UDP] * len(State)]


# fmt: off
_INPUT = _table(
    # NO ES SS SR FW TW CL CW LA LI SA
    "  SR ES ES SR SR SR SR SR SR SR SR",  # syn
    "  CL CW SS TW TW TW CL CW LA LI TW",  # fin
    "  ES ES SS ES FW TW CL CW CL LI ES",  # ack
    "  CL CL CL SR CL CL CL CL LA LI SR",  # rst
)
_OUTPUT = _table(
    # NO ES SS SR FW TW CL CW LA LI SA
    "  SS ES SS SR SS SS SS SS SS LI SR",  # syn
    "  TW FW SS TW FW TW CL TW LA LI TW",  # fin
    "  ES ES SS ES FW TW CL CW LA ES ES",  # ack
    "  CL CL SS CL CL TW CL CL CL CL CL",  # rst
)
_INPUT_ONLY = _table(
    # NO ES SS SR FW TW CL CW LA LI SA
    "  SR ES ES SR SR SR SR SR SR SR SR",  # syn
    "  CL FW SS TW FW TW CL CW LA LI TW",  # fin: stays FIN_WAIT, the reply is never seen
    "  ES ES SS ES FW TW CL CW CL LI ES",  # ack
    "  CL CL CL SR CL CL CL CL LA LI CL",  # rst
)

# While secure_tcp is in force (``tcp_states_dos``): the same but for the cells below.
_SECURE_INPUT = _table(
    # NO ES SS SR FW TW CL CW LA LI SA
    "  SR ES ES SR SR SR SR SR SR SR SA",  # syn: SA stays
    "  CL CW SS TW TW TW CL CW LA LI SA",  # fin: SA stays
    "  ES ES SS SR FW TW CL CW CL LI SA",  # ack: SR and SA stay
    "  CL CL CL SR CL CL CL CL LA LI CL",  # rst: SA closes
)
_SECURE_OUTPUT = _table(
    # NO ES SS SR FW TW CL CW LA LI SA
    "  SS ES SS SA SS SS SS SS SS LI SA",  # syn: SR to SA, SA stays
    "  TW FW SS TW FW TW CL TW LA LI TW",  # fin
    "  ES ES SS ES FW TW CL CW LA ES ES",  # ack
    "  CL CL SS CL CL TW CL CL CL CL CL",  # rst
)
_SECURE_INPUT_ONLY = _table(
    # NO ES SS SR FW TW CL CW LA LI SA
    "  SA ES ES SR SA SA SA SA SA SA SA",  # syn: to SA
    "  CL FW SS TW FW TW CL CW LA LI TW",  # fin
    "  ES ES SS ES FW TW CL CW CL LI ES",  # ack
    "  CL CL CL SR CL CL CL CL LA LI CL",  # rst
)
# fmt: on

TRANSITIONS: Int8s = np.array(
    [
        _INPUT,
        _OUTPUT,
        _INPUT_ONLY,
        _SECURE_INPUT,
        _SECURE_OUTPUT,
        _SECURE_INPUT_ONLY,
    ],
    dtype=np.int8,
)
"""Next state, indexed [TransitionTable, Flag, State]; those of secure_tcp follow; shape (6, 6,
12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The timeouts that ``ipvsadm --set tcp tcpfin udp`` changes, seconds; kernel defaults."""

    tcp_s: float = 900
    tcpfin_s: float = 120
    udp_s: float = 300


_SETTABLE: dict[State, TimeoutName] = {
    State.ESTABLISHED: "tcp",
    State.FIN_WAIT: "tcpfin",
    State.UDP: "udp",
}

TIMEOUT_NAMES: dict[State, TimeoutName] = {state: _SETTABLE.get(state, "fixed") for state in State}
"""Which of ``--set``'s numbers governs a state; most are fixed."""

_FIXED_TIMEOUTS_S: dict[State, float] = {
    State.NONE: 2,
    State.SYN_SENT: 120,
    State.SYN_RECV: 60,
    State.TIME_WAIT: 120,
    State.CLOSE: 10,
    State.CLOSE_WAIT: 60,
    State.LAST_ACK: 30,
    State.LISTEN: 120,
    State.SYNACK: 120,
}
FIXED_INACTIVE_S = (10.0, 60.0, 120.0)
"""The fixed timeouts in which entries that count as inactive end: CLOSE, CLOSE_WAIT, TIME_WAIT."""

ACTIVE_STATES = frozenset({State.ESTABLISHED, State.SYN_SENT, State.SYN_RECV, State.SYNACK})
"""Counted in ActiveConn; every other state is counted in InActConn."""

ACTIVE_STATES_BEFORE_4_8 = frozenset({State.ESTABLISHED})
"""The active states of kernels that do not yet count half-open entries
(``analyzer.ipvs.versions``)."""


def active_states(kernel: str | None) -> frozenset[State]:
    """The states that a kernel of this release counts as active; today's where it is not known."""
    return ACTIVE_STATES if law_of(kernel).half_open_is_active else ACTIVE_STATES_BEFORE_4_8


def is_active(kernel: str | None) -> npt.NDArray[np.bool_]:
    """Whether a state counts as active, indexed by State; shape (12,)."""
    active = active_states(kernel)
    return np.array([state in active for state in State])


def timeout_by_state_s(timeouts: Timeouts) -> npt.NDArray[np.float64]:
    """What an entry waits after its last packet, seconds, indexed by State; shape (12,)."""
    settable = {
        State.ESTABLISHED: timeouts.tcp_s,
        State.FIN_WAIT: timeouts.tcpfin_s,
        State.UDP: timeouts.udp_s,
    }
    by_state = _FIXED_TIMEOUTS_S | settable
    return np.array([by_state[state] for state in State], dtype=np.float64)


_BY_BIT = ((0x04, Flag.RST), (0x02, Flag.SYN), (0x01, Flag.FIN), (0x10, Flag.ACK))
_BY_BYTE = np.array(
    [next((flag for bit, flag in _BY_BIT if byte & bit), Flag.BARE) for byte in range(256)],
    dtype=np.int8,
)


def flag_of(tcp_flags: npt.NDArray[np.uint8]) -> Int8s:
    """The Flag of each packet from its TCP flag byte; same shape."""
    return _BY_BYTE[tcp_flags]
