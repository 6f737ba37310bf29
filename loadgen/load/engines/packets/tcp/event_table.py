"""What a segment means to its connection, as a table: every answer to every question, looked up.

The questions are asked of thousands of segments at a time: which flags a segment has, where its
connection stands, and five comparisons of numbers. The answers together are one number of
``_BITS`` bits. What follows from them is written once, in ``_rules``, and worked out beforehand for
all numbers that there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadgen.load.engines.packets.tcp.script import ConnectionState, Segment, SegmentEvent
from loadgen.load.engines.packets.tcp.table import united
from loadgen.load.engines.packets.wire.frames import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadgen.load.engines.packets.tcp.connections import Bools, Ints
    from loadgen.load.engines.packets.tcp.table import TransitionTable

EVENT = 0xF
"""Of meanings: what the table of the script is asked for."""

ACKNOWLEDGES, OPENS, STRANGE, RESETS = 1 << 4, 1 << 5, 1 << 6, 1 << 7
ADVANCES, READS, FIN_ACKED_FIRST = 1 << 8, 1 << 9, 1 << 10
"""Of meanings: all of ours has come; the SYN-ACK of our SYN; an answer to another SYN; a RST; bytes
or a FIN in their turn; the same while the answer is not whole; it acknowledges our FIN, which is to
happen before what else it brings."""

_BITS = 13
# as the comparisons are packed
_ACKS_ALL, _IN_TURN, _REACHES, _FRESH, _CARRIES = range(5)
_FIN, _SYN, _RST, _ACK = range(5, 9)
_OPENING, _ASKED = 9, 10
_WAITS, _FINISHING = 11, 12
_FLAGS = {_FIN: FIN, _SYN: SYN, _RST: RST, _ACK: ACK}


class EventTable:
    """Looks up what segments mean.

    Args:
        table: whose lines the connections stand at.
    """

    def __init__(self, table: TransitionTable) -> None:
        self._meanings = _rules(np.arange(1 << _BITS))
        flags = np.arange(256)
        self._of_flags = sum(((flags & flag > 0) << bit for bit, flag in _FLAGS.items()), 0 * flags)
        self._of_line = table.of_states(ConnectionState.SYN_SENT).astype(np.int64) << _OPENING
        self._of_line |= table.of_states(ConnectionState.ASKED).astype(np.int64) << _ASKED
        segments = np.arange(len(Segment))
        self._of_unacked = (segments > 0) * (1 << _WAITS)
        self._of_unacked |= (segments == Segment.FIN) * (1 << _FINISHING)

    def of(
        self,
        flags: Ints,
        line: Ints,
        unacked: Ints,
        acks_all: Bools,
        ahead: npt.NDArray[np.int32],
        size: npt.NDArray[np.int32],
    ) -> Ints:
        """What each segment means; every argument has shape (n,).

        Args:
            flags: of TCP.
            line: of the connection.
            unacked: the segment of ours that waits to be acknowledged.
            acks_all: whether it acknowledges all that we have sent.
            ahead: how far its first byte is ahead of the one that we await.
            size: of the payload, bytes.
        """
        fresh = ahead + size
        compared = np.array((acks_all, ahead <= 0, fresh >= 0, fresh > 0, size > 0))
        packed = np.packbits(compared, axis=0, bitorder="little")[0].astype(np.int64)
        packed += self._of_flags[flags]
        packed += self._of_line[line]
        packed += self._of_unacked[unacked]
        events: Ints = self._meanings[packed]
        return events


def _rules(answers: Ints) -> Ints:
    """The meaning of each number that the questions may be answered by."""
    bit_is_set = [(answers >> bit & 1).astype(np.bool_) for bit in range(_BITS)]
    fin_flag, syn, rst, ack = bit_is_set[_FIN], bit_is_set[_SYN], bit_is_set[_RST], bit_is_set[_ACK]
    opening, carries, acks_all = bit_is_set[_OPENING], bit_is_set[_CARRIES], bit_is_set[_ACKS_ALL]
    acked = acks_all & bit_is_set[_WAITS] & ack & ~rst
    fin_acked = acked & bit_is_set[_FINISHING]
    in_turn = bit_is_set[_IN_TURN] & ~opening
    fin = in_turn & bit_is_set[_REACHES] & fin_flag
    data = in_turn & bit_is_set[_FRESH]
    advances = (data | fin) & ~rst
    ours = opening & acks_all & syn & ack & ~rst
    strange = opening & ~acks_all & ack & ~rst
    events = (  # of several that fit, the last
        (SegmentEvent.DATA, data),
        (SegmentEvent.OLD, (carries | syn | fin_flag) & ~data),
        (SegmentEvent.FIN, fin),
        (SegmentEvent.FIN_ACKED, fin_acked & ~carries),
        (SegmentEvent.FIN_AND_ACKED, fin_acked & ~carries & fin),
        (SegmentEvent.NOTHING, opening | rst),
        (SegmentEvent.SYN_ACK, ours),
        (SegmentEvent.STRANGE, strange),
    )
    brings = {
        ACKNOWLEDGES: acked,
        OPENS: ours,
        STRANGE: strange,
        RESETS: rst,
        ADVANCES: advances,
        READS: advances & bit_is_set[_ASKED],
        FIN_ACKED_FIRST: fin_acked & carries,
    }
    happens = np.zeros_like(answers)
    for event, is_so in events:
        happens[is_so] = event
    return happens | united(brings)
