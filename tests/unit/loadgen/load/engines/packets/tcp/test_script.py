"""The table of what connections do: every way of closing goes over the wire as its name says."""

from __future__ import annotations

import pytest

from analyzer.forecast.closings import CLOSES, Close
from loadgen.load.engines.packets.tcp.script import (
    BUSY,
    SETTLED,
    ConnectionState,
    Segment,
    SegmentEvent,
    compiled,
    script_lines,
)

S, H, G = ConnectionState, SegmentEvent, Segment
OPEN = [(H.SYN_ACK, G.ASK)]
LIVES: dict[Close, list[tuple[SegmentEvent, Segment]]] = {
    "client": [*OPEN, (H.WHOLE, G.FIN), (H.FIN_AND_ACKED, G.ACK)],
    "server": [(H.SYN_ACK, G.ASK_CLOSE), (H.WHOLE_FIN, G.FIN), (H.FIN_ACKED, G.NONE)],
    "reset": [*OPEN, (H.WHOLE, G.RST)],
    "half": [*OPEN, (H.WHOLE, G.FIN), (H.FIN_ACKED, G.NONE), (H.FIN, G.ACK)],
    "never": [*OPEN, (H.WHOLE, G.ACK), (H.FIN, G.ACK)],
    "abandon": [*OPEN, (H.WHOLE, G.ACK), (H.FIN, G.NONE), (H.OLD, G.NONE)],
    "half-open": [(H.SYN_ACK, G.NONE), (H.OLD, G.NONE)],
    "silent": [(H.SYN_ACK, G.ACK), (H.FIN, G.NONE), (H.OLD, G.NONE)],
    "fin-no-ack": [*OPEN, (H.WHOLE, G.FIN), (H.FIN_AND_ACKED, G.NONE), (H.OLD, G.NONE)],
    "reset-syn": [(H.SYN_ACK, G.RST)],
    "reset-open": [(H.SYN_ACK, G.ACK), (H.TIME_UP, G.RST)],
    "reset-answer": [*OPEN, (H.DATA, G.RST)],
    "reset-fin": [*OPEN, (H.WHOLE, G.FIN), (H.FIN_AND_ACKED, G.RST)],
}
ENDS = dict.fromkeys(("abandon", "half-open", "silent", "fin-no-ack"), S.SILENT) | {"never": S.KEPT}


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("holds", [False, True])
def test_a_life_goes_as_its_name_says(close: Close, holds: bool) -> None:
    following, sends = compiled(holds=holds)
    number, state, sent = CLOSES.index(close), S.SYN_SENT, []
    for event, _ in LIVES[close]:
        for each in (event, H.TIME_UP):
            if each == H.TIME_UP and state not in (S.HOLDING, S.HOLDING_CLOSED):
                continue
            sent.append(Segment(sends[number, state, each]))
            state = S(following[number, state, each])
    assert state == ENDS.get(close, S.FREE)
    wanted = [segment for _, segment in LIVES[close] if segment not in (G.NONE, G.ACK)]
    assert [segment for segment in sent if segment not in (G.NONE, G.ACK)] == wanted


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("holds", [False, True])
def test_time_ends_every_state_that_a_sender_or_a_row_waits_for(close: Close, holds: bool) -> None:
    lines = script_lines(close, holds=holds)
    reached = {S.SYN_SENT}
    for _ in S:
        reached |= {after for (state, _), (after, _) in lines.items() if state in reached}
    for state in reached - SETTLED:
        after, _ = lines[state, H.TIME_UP]
        assert after != state


@pytest.mark.parametrize("close", CLOSES)
def test_nothing_leads_out_of_free_or_back_to_waiting(close: Close) -> None:
    for (state, _), (after, _) in script_lines(close, holds=True).items():
        assert state != S.FREE
        assert not (state not in BUSY and after in BUSY)
