"""The script's table, compiled: one look-up gives a connection's next state and all that follows.

A *line* is a script and a state as one number, and ``line + event`` is a place in the table. At
a place stand the line that follows and the *deeds*: bits for all that is to be done. Thousands of
connections are moved by two look-ups, and what none of them needs costs one test of their deeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.forecast.closings import CLOSES
from loadgen.load.engines.packets.tcp import script
from loadgen.load.engines.packets.tcp.script import (
    BUSY,
    HOLDS,
    OVER,
    SETTLED,
    ConnectionState,
    Segment,
    SegmentEvent,
)
from loadgen.load.engines.wording import REFUSED, RESET, SHORT_ANSWER, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from loadgen.load.engines.packets.tcp.connections import Bools, Ints
    from loadgen.load.engines.wording import Failure

SENDS = 0xF
"""Of deeds: the segment to be sent; ``RST_BARE`` is not among them, which needs the other's."""

TIMES, ASKS, PAUSES, SERVER_CLOSED, FAILS = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
RESETS, LOSES, ENDS, SETTLES, FREES = 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13
"""Of deeds: another time limit holds; the request is out; the hold begins; the server has sent its
FIN; the row needs an error; the server has reset; nobody acknowledged our FIN; no sender waits any
more; the row may go; nothing that comes of the connection changes it."""

_FAILURES = {
    (ConnectionState.SYN_SENT, SegmentEvent.RESET): REFUSED,
    (ConnectionState.SYN_SENT, SegmentEvent.TIME_UP): TIMED_OUT["connect"],
    (ConnectionState.ASKED, SegmentEvent.RESET): RESET,
    (ConnectionState.ASKED, SegmentEvent.TIME_UP): TIMED_OUT["answer"],
    (ConnectionState.ASKED, SegmentEvent.FIN): SHORT_ANSWER,
    (ConnectionState.AWAITING_FIN, SegmentEvent.TIME_UP): TIMED_OUT["close"],
}
_SHAPE = (len(CLOSES), len(ConnectionState), len(SegmentEvent))
_FINISHING = {ConnectionState.FIN_WAIT_1, ConnectionState.CLOSING, ConnectionState.LAST_ACK}
_FINS = {SegmentEvent.FIN, SegmentEvent.WHOLE_FIN, SegmentEvent.FIN_AND_ACKED}


class TransitionTable:
    """All scripts.

    Args:
        holds: whether there is a time between answer and close.

    Attributes:
        after: the line that follows, by place.
        deeds: by place.
    """

    def __init__(self, *, holds: bool) -> None:
        following, sends = (each.astype(np.int64) for each in script.compiled(holds=holds))
        scripts, self._before, self._event = np.indices(_SHAPE)
        self.after = line_of(scripts, following).ravel()
        sends[sends == Segment.RST_BARE] = 0
        self.deeds = (sends + self._brought_about(following)).ravel()

    def of_states(self, *states: ConnectionState) -> Bools:
        """Whether a line is of one of these states, by line."""
        return np.isin(self._before, states).ravel()

    def failure(self, place: int) -> Failure:
        """What a row says where a deed is ``FAILS``."""
        _, state, event = np.unravel_index(place, _SHAPE)
        return _FAILURES[ConnectionState(int(state)), SegmentEvent(int(event))]

    def _brought_about(self, after: Ints) -> Ints:
        before, event = self._before, self._event
        transitions = after != before
        held, holds = _among(before, HOLDS), _among(after, HOLDS)
        fails = np.zeros(_SHAPE, np.bool_)
        for state, what in _FAILURES:
            fails[:, state, what] = True
        deeds = {
            TIMES: transitions & ~(held & holds),
            ASKS: transitions & (after == ConnectionState.ASKED),
            PAUSES: holds & ~held,
            SERVER_CLOSED: _among(event, _FINS),
            FAILS: transitions & fails,
            RESETS: transitions
            & (event == SegmentEvent.RESET)
            & (before != ConnectionState.SYN_SENT),
            LOSES: transitions & _among(before, _FINISHING) & (event == SegmentEvent.TIME_UP),
            ENDS: _among(before, BUSY) & ~_among(after, BUSY),
            SETTLES: transitions & _among(after, SETTLED),
            FREES: transitions & _among(after, OVER),
        }
        return united(deeds)


def line_of(script_number: Ints, state: Ints | ConnectionState) -> Ints:
    """The line of a script (its place in ``CLOSES``) and a state."""
    return np.asarray((script_number * len(ConnectionState) + state) * len(SegmentEvent))


def united(bits: Mapping[int, Bools]) -> Ints:
    """Numbers that have those of the bits that stand before what is so."""
    numbers = [bit * is_so.astype(np.int64) for bit, is_so in bits.items()]
    return np.asarray(np.bitwise_or.reduce(numbers))


def having(deeds: Ints, deed: int) -> Ints:
    """Which of them have a deed."""
    return (deeds & deed).nonzero()[0]


def _among(numbers: Ints, some: Collection[int]) -> Bools:
    return np.isin(numbers, list(some))
