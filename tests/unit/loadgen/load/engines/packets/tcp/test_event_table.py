"""What segments mean, beside a plain reading of RFC 9293 for one segment at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.packets.tcp.event_table import (
    ACKNOWLEDGES,
    ADVANCES,
    EVENT,
    FIN_ACKED_FIRST,
    OPENS,
    READS,
    RESETS,
    STRANGE,
    EventTable,
)
from loadgen.load.engines.packets.tcp.script import ConnectionState, Segment, SegmentEvent
from loadgen.load.engines.packets.tcp.table import TransitionTable, line_of
from loadgen.load.engines.packets.wire.frames import ACK, FIN, PSH, RST, SYN

TABLE = TransitionTable(holds=False)
MEANING = EventTable(TABLE)

segments = st.tuples(
    st.sets(st.sampled_from([FIN, SYN, RST, PSH, ACK])).map(sum),
    st.sampled_from([state for state in ConnectionState if state != ConnectionState.FREE]),
    st.sampled_from([Segment.NONE, Segment.SYN, Segment.ASK, Segment.FIN]),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(0, 3),
)


def plainly(
    flags: int, state: ConnectionState, unacked: Segment, acks_all: bool, ahead: int, size: int
) -> tuple[SegmentEvent, int]:
    """What happens, and what else is to be done."""
    acked = acks_all and unacked != Segment.NONE and flags & (ACK | RST) == ACK
    acks = ACKNOWLEDGES if acked else 0
    if acked and unacked == Segment.FIN and size:
        acks |= FIN_ACKED_FIRST
    if flags & RST:
        return SegmentEvent.NOTHING, acks | RESETS
    if state == ConnectionState.SYN_SENT:
        if acks_all and flags & (SYN | ACK) == SYN | ACK:
            return SegmentEvent.SYN_ACK, acks | OPENS
        if not acks_all and flags & ACK:
            return SegmentEvent.STRANGE, acks | STRANGE
        return SegmentEvent.NOTHING, acks
    begins = ahead <= 0
    fin = begins and ahead + size >= 0 and flags & FIN
    data = begins and ahead + size > 0
    if fin or data:
        acks |= ADVANCES | (READS if state == ConnectionState.ASKED else 0)
    if acked and unacked == Segment.FIN and not size:
        return (SegmentEvent.FIN_AND_ACKED if fin else SegmentEvent.FIN_ACKED), acks
    if fin:
        return SegmentEvent.FIN, acks
    if data:
        return SegmentEvent.DATA, acks
    return (SegmentEvent.OLD if size or flags & (SYN | FIN) else SegmentEvent.NOTHING), acks


@given(st.lists(segments, min_size=1, max_size=30))
def test_segments_mean_together_what_each_means_by_itself(
    wanted: list[tuple[int, ConnectionState, Segment, bool, int, int]],
) -> None:
    flags, state, unacked, acks_all, ahead, size = zip(*wanted, strict=True)
    means = MEANING.of(
        np.array(flags),
        line_of(np.zeros(len(wanted), np.int64), np.array(state)),
        np.array(unacked),
        np.array(acks_all),
        np.array(ahead, np.int32),
        np.array(size, np.int32),
    )
    found = [(SegmentEvent(each & EVENT), each & ~EVENT) for each in means.tolist()]
    assert found == [plainly(*each) for each in wanted]
