"""The compiled table says what the script's lines say, and nothing of its own."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.forecast.closings import CLOSES, Close
from loadgen.load.engines.packets.tcp.script import (
    BUSY,
    OVER,
    SETTLED,
    ConnectionState,
    Segment,
    SegmentEvent,
    script_lines,
)
from loadgen.load.engines.packets.tcp.table import (
    ENDS,
    FAILS,
    FREES,
    SENDS,
    SETTLES,
    TransitionTable,
    line_of,
)

MANY = {holds: TransitionTable(holds=holds) for holds in (False, True)}


def line(close: Close, state: ConnectionState) -> int:
    return int(line_of(np.array(CLOSES.index(close)), state))


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("holds", [False, True])
def test_each_place_leads_where_the_line_does_and_sends_its_segment(
    close: Close, holds: bool
) -> None:
    table, lines = MANY[holds], script_lines(close, holds=holds)
    for state in ConnectionState:
        first = line(close, state)
        for event in SegmentEvent:
            after, segment = lines.get((state, event), (state, Segment.NONE))
            deeds = int(table.deeds[first + event])
            assert table.after[first + event] == line(close, after)
            assert deeds & SENDS == (0 if segment == Segment.RST_BARE else segment)
            assert bool(deeds & ENDS) == (state in BUSY and after not in BUSY)
            assert bool(deeds & SETTLES) == (after != state and after in SETTLED)
            assert bool(deeds & FREES) == (state != after and after in OVER)


def test_a_row_says_why_wherever_a_place_fails() -> None:
    table = MANY[True]
    places = (table.deeds & FAILS).nonzero()[0].tolist()
    assert len(places) > len(CLOSES)
    for place in places:
        assert table.failure(place)


def test_lines_are_selected_by_their_states() -> None:
    table = MANY[False]
    for state in ConnectionState:
        lines = [line(close, state) for close in CLOSES]
        assert table.of_states(state)[lines].all()
        assert not table.of_states(*(set(ConnectionState) - {state}))[lines].any()
