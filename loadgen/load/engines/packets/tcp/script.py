"""What a connection does on an event, as a table: state x event -> state, segment.

Theory of operation. A connection begins with its SYN, in ``SYN_SENT``. ``COMMON`` is what every
connection does until its answer is whole, and what it does once its FIN is out (RFC 9293, figure 5,
without the simultaneous open, which no server of ours makes). Between the two stand a few lines of
its own for each way of closing, in ``SCRIPTS``. What no line names changes and sends nothing.

The lines become arrays, so that thousands of connections are moved by one look-up:
``NEXT[script, state, event]`` and ``SEND[script, state, event]``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from analyzer.forecast.closings import CLOSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from analyzer.forecast.closings import Close


class ConnectionState(IntEnum):
    """Where a connection is."""

    FREE = 0  # there is none
    SYN_SENT = 1
    ASKED = 2  # the request is out, the answer not whole
    HOLDING = 3  # the answer is whole, the close is still to come
    HOLDING_CLOSED = 4  # the same, and the server has closed
    AWAITING_FIN = 5  # the server was asked to close, and has not yet
    FIN_WAIT_1 = 6  # our FIN is out
    FIN_WAIT_2 = 7  # and acknowledged
    CLOSING = 8  # both FINs are out, ours not acknowledged
    LAST_ACK = 9  # the same, the server's first
    KEPT = 10  # open until the run ends
    SILENT = 11  # left: nothing that comes is answered


class SegmentEvent(IntEnum):
    """What a segment or the clock did to a connection."""

    NOTHING = 0
    SYN_ACK = 1
    DATA = 2  # bytes in their turn, the answer not whole by them
    WHOLE = 3  # bytes by which the answer is whole
    WHOLE_FIN = 4  # and the server's FIN with them
    FIN = 5
    OLD = 6  # nothing new: it came before, or before its turn
    RESET = 7
    STRANGE = 8  # an answer to another SYN than ours: of a connection that had these ports before
    FIN_ACKED = 9  # our FIN has come to the server
    FIN_AND_ACKED = 10  # and its own with that news
    TIME_UP = 11  # as long as the state may last; of HOLDING: the hold is over
    BAD = 12  # an answer that cannot be read


class Segment(IntEnum):
    """What goes out; each is one template of ``frames``."""

    NONE = 0
    SYN = 1
    ASK = 2  # the request, and with it the handshake's ACK
    ASK_CLOSE = 3  # the request with ``Connection: close``
    ACK = 4
    FIN = 5
    RST = 6
    RST_BARE = 7  # answers a segment by its own numbers


S, H, G = ConnectionState, SegmentEvent, Segment
Lines = dict[tuple[ConnectionState, SegmentEvent], tuple[ConnectionState, Segment]]

_ANSWERED = (S.HOLDING, S.HOLDING_CLOSED, S.AWAITING_FIN, S.KEPT)
_FINISHED = (S.FIN_WAIT_1, S.FIN_WAIT_2, S.CLOSING, S.LAST_ACK)

HOLDS = (S.HOLDING, S.HOLDING_CLOSED)
"""How long each connection waits here is its own."""

COMMON: Lines = {
    (S.SYN_SENT, H.SYN_ACK): (S.ASKED, G.ASK),
    (S.SYN_SENT, H.RESET): (S.FREE, G.NONE),
    (S.SYN_SENT, H.STRANGE): (S.SYN_SENT, G.RST_BARE),
    (S.SYN_SENT, H.TIME_UP): (S.FREE, G.NONE),
    (S.ASKED, H.DATA): (S.ASKED, G.ACK),
    (S.ASKED, H.FIN): (S.FREE, G.RST),
    (S.ASKED, H.OLD): (S.ASKED, G.ACK),
    (S.ASKED, H.RESET): (S.FREE, G.NONE),
    (S.ASKED, H.TIME_UP): (S.FREE, G.RST),
    (S.ASKED, H.BAD): (S.FREE, G.RST),
    **{(state, H.DATA): (state, G.ACK) for state in _ANSWERED},
    **{(state, H.OLD): (state, G.ACK) for state in (*_ANSWERED, *_FINISHED)},
    **{(state, H.RESET): (S.FREE, G.NONE) for state in (*_ANSWERED, *_FINISHED)},
    (S.HOLDING, H.FIN): (S.HOLDING_CLOSED, G.ACK),
    (S.KEPT, H.FIN): (S.KEPT, G.ACK),
    (S.FIN_WAIT_1, H.DATA): (S.FIN_WAIT_1, G.ACK),
    (S.FIN_WAIT_1, H.FIN): (S.CLOSING, G.ACK),
    (S.FIN_WAIT_1, H.FIN_ACKED): (S.FIN_WAIT_2, G.NONE),
    (S.FIN_WAIT_1, H.FIN_AND_ACKED): (S.FREE, G.ACK),
    (S.FIN_WAIT_2, H.DATA): (S.FIN_WAIT_2, G.ACK),
    (S.FIN_WAIT_2, H.FIN): (S.FREE, G.ACK),
    (S.CLOSING, H.FIN_ACKED): (S.FREE, G.NONE),
    (S.LAST_ACK, H.FIN_ACKED): (S.FREE, G.NONE),
    **{(state, H.TIME_UP): (S.FREE, G.NONE) for state in _FINISHED},
}


def _held_then(
    end: tuple[ConnectionState, Segment], end_closed: tuple[ConnectionState, Segment]
) -> Lines:
    """Answer, hold, and the end: while the server is open, and when it has closed."""
    return {
        (S.ASKED, H.WHOLE): (S.HOLDING, G.ACK),
        (S.ASKED, H.WHOLE_FIN): (S.HOLDING_CLOSED, G.ACK),
        (S.HOLDING, H.TIME_UP): end,
        (S.HOLDING_CLOSED, H.TIME_UP): end_closed,
    }


_BY_FIN = _held_then((S.FIN_WAIT_1, G.FIN), (S.LAST_ACK, G.FIN))
_BY_RESET = _held_then((S.FREE, G.RST), (S.FREE, G.RST))

SCRIPTS: Mapping[Close, Lines] = {
    "client": _BY_FIN,
    "half": _BY_FIN,
    "server": _BY_FIN
    | {
        (S.SYN_SENT, H.SYN_ACK): (S.ASKED, G.ASK_CLOSE),
        (S.ASKED, H.WHOLE): (S.AWAITING_FIN, G.ACK),
        (S.AWAITING_FIN, H.FIN): (S.HOLDING_CLOSED, G.ACK),
        (S.AWAITING_FIN, H.TIME_UP): (S.FREE, G.RST),
    },
    "reset": _BY_RESET,
    "never": _held_then((S.KEPT, G.NONE), (S.KEPT, G.NONE)),
    "abandon": _held_then((S.SILENT, G.NONE), (S.SILENT, G.NONE)),
    "half-open": {(S.SYN_SENT, H.SYN_ACK): (S.SILENT, G.NONE)},
    "silent": {(S.SYN_SENT, H.SYN_ACK): (S.SILENT, G.ACK)},
    "fin-no-ack": _BY_FIN
    | {
        (S.FIN_WAIT_1, H.FIN_ACKED): (S.SILENT, G.NONE),
        (S.FIN_WAIT_1, H.FIN_AND_ACKED): (S.SILENT, G.NONE),
        (S.FIN_WAIT_1, H.FIN): (S.FIN_WAIT_1, G.NONE),
        (S.FIN_WAIT_1, H.OLD): (S.FIN_WAIT_1, G.NONE),
    },
    "reset-syn": _BY_RESET
    | {
        (S.SYN_SENT, H.SYN_ACK): (S.HOLDING, G.NONE),
        (S.HOLDING, H.OLD): (S.HOLDING, G.NONE),
    },
    "reset-open": _BY_RESET | {(S.SYN_SENT, H.SYN_ACK): (S.HOLDING, G.ACK)},
    "reset-answer": _BY_RESET | {(S.ASKED, H.DATA): (S.HOLDING, G.ACK)},
    "reset-fin": _BY_FIN
    | {
        (S.FIN_WAIT_1, H.FIN): (S.FREE, G.RST),
        (S.FIN_WAIT_1, H.FIN_ACKED): (S.FREE, G.RST),
        (S.FIN_WAIT_1, H.FIN_AND_ACKED): (S.FREE, G.RST),
        (S.LAST_ACK, H.FIN_ACKED): (S.FREE, G.RST),
    },
}
"""The lines that are a way of closing's own. ``half`` is ``client`` to which a server that stays
open is no reason to go (``Transitions``)."""

BUSY = frozenset({S.SYN_SENT, S.ASKED, S.HOLDING, S.HOLDING_CLOSED, S.AWAITING_FIN})
"""A sender of the closed model waits for these."""

OVER = frozenset({S.FREE, S.SILENT})
"""Nothing that comes changes a connection any more: its place is another's, its port rests."""

SETTLED = frozenset({S.FREE, S.FIN_WAIT_2, S.KEPT, S.SILENT})
"""Nothing more will be known of a connection here: its row may go."""


def script_lines(close: Close, *, holds: bool) -> Lines:
    """All lines of a way of closing.

    Args:
        close: which.
        holds: whether there is a time between answer and close; without one the answer itself
            brings about what the end of the hold would.
    """
    lines = COMMON | SCRIPTS[close]
    return lines if holds else lines | _straight(lines)


def _straight(lines: Lines) -> Lines:
    """What leads to a hold leads to its end; only the ACK of a handshake goes by itself."""
    direct: Lines = {}
    for place, (state, segment) in lines.items():
        if state not in HOLDS or place[0] in HOLDS or (place[0], segment) == (S.SYN_SENT, G.ACK):
            continue
        after, last = lines[state, H.TIME_UP]
        direct[place] = (after, last or segment)
    return direct


def compiled(*, holds: bool) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """``NEXT`` and ``SEND``, each of shape (ways of closing, states, events)."""
    shape = (len(CLOSES), len(ConnectionState), len(SegmentEvent))
    following = np.broadcast_to(
        np.arange(len(ConnectionState), dtype=np.uint8)[:, None], shape
    ).copy()
    sends = np.zeros(shape, dtype=np.uint8)
    for number, close in enumerate(CLOSES):
        for (state, event), (after, segment) in script_lines(close, holds=holds).items():
            following[number, state, event] = after
            sends[number, state, event] = segment
    return following, sends
