"""Answers to many packets at once are those that each packet has by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import Flag
from analyzer.traces.expired.answers import (
    ANSWER_NS,
    NOT_KNOWN,
    LateRows,
    answers_to_clients,
    follow,
    longest_pause_ns,
    moved,
)
from analyzer.traces.expired.model import ANSWERS
from analyzer.traces.expired.part import DirectorFacts, FlowPart
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, rules, segments
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.arrays import Ints

Instants = list[tuple[int, int]]
"""Flows and instants."""

INSTANTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=20, unique=True)
SENT_ON = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 10)), st.integers(0, 1), max_size=12
)
MACS = (0x020000000021, 0x020000000022)


def columns(rows: Instants) -> tuple[Ints, Ints]:
    pairs = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def facts(*, replies_bypass: bool) -> DirectorFacts:
    return DirectorFacts(
        rules=rules(),
        margin_s=0.0,
        phase_uncertainty_s=0.0,
        assumed=np.zeros(12, dtype=bool),
        macs=(),
        replies_bypass=replies_bypass,
        last_ns=0,
    )


def part_of(rows: list[Seg], sent_on: dict[tuple[int, int], int]) -> FlowPart:
    """Segments, each of whose clients' met an entry; and the server of what was sent on."""
    everything = segments(rows)
    forth = everything.to_vip
    flow, at_ns = columns(list(sent_on))
    servers = [sent_on[key] for key in sorted(sent_on)]
    return FlowPart(
        segments=everything,
        passed=everything,
        steps={"flow": everything.flow[forth], "at_ns": everything.at_ns[forth]},
        entries={},
        legs={
            "flow": flow,
            "at_ns": at_ns,
            "server": np.array(servers, dtype=np.int8),
            "partner": np.zeros(len(flow), dtype=np.int64),
        },
        asked={},
    )


@examples(30)
@given(packets=INSTANTS, answers=INSTANTS, within=st.integers(0, 5))
def test_an_answer_is_one_of_the_same_flow_within_the_time(
    packets: Instants, answers: Instants, within: int
) -> None:
    expected = [
        any(of == flow and 0 <= at - since <= within for of, at in answers)
        for flow, since in sorted(packets)
    ]
    flow, at = columns(packets)
    assert follow(*columns(answers), flow, at, within).tolist() == expected
    starts = np.unique(flow, return_index=True)[1]
    cases = LateRows(flow=flow, at_ns=at, starts=starts)
    by_case = [any(group.tolist()) for group in np.split(np.array(expected), starts[1:])]
    assert cases.followed(*columns(answers), within).tolist() == by_case[: len(starts)]
    assert cases.packets.sum() == len(packets)


@examples(30)
@given(sent_on=SENT_ON, at=st.integers(0, 10))
def test_a_flow_has_moved_if_the_next_packet_went_to_another_server(
    sent_on: dict[tuple[int, int], int], at: int
) -> None:
    def moved_at(flow: int) -> int:
        of_flow = sorted((since, server) for (of, since), server in sent_on.items() if of == flow)
        before = [server for since, server in of_flow if since < at]
        after = [server for since, server in of_flow if since >= at]
        return int(before[-1] != after[0]) if before and after else NOT_KNOWN

    flows = np.arange(4)
    found = moved(facts(replies_bypass=False), part_of([], sent_on), flows, np.full(4, at))
    assert found.tolist() == [moved_at(flow) for flow in range(4)]


def test_where_replies_bypass_the_director_their_senders_show_a_move() -> None:
    replies = [
        Seg(at_s, port, Flag.DATAGRAM, reply=True, mac=MACS[number])
        for port, numbers in ((1, (0, 1)), (2, (0, 0)))
        for at_s, number in zip((1.0, 3.0), numbers, strict=True)
    ]
    part, at_ns = part_of(replies, {}), np.full(2, BOOT_NS + 2 * NS)
    assert moved(facts(replies_bypass=True), part, np.arange(2), at_ns).tolist() == [1, 0]
    assert moved(facts(replies_bypass=False), part, np.arange(2), at_ns).tolist() == [-1, -1]


@examples(30)
@given(forth=INSTANTS, back=INSTANTS, flows=st.sets(st.integers(0, 3)))
def test_the_longest_pause_is_one_that_an_answer_followed(
    forth: Instants, back: Instants, flows: set[int]
) -> None:
    sent = {flow: sorted(at for of, at in forth if of == flow) for flow in range(4)}
    pauses = [
        after - before
        for flow in flows
        for before, after in pairwise(sent[flow])
        if any(of == flow and 0 <= at - after <= ANSWER_NS // NS for of, at in back)
    ]
    rows = [Seg(999.0, flow, Flag.RST, reply=True) for flow in range(4)]  # each flow has a row
    for reply, instants in ((False, forth), (True, back)):
        rows += [Seg(1000.0 + at, flow, Flag.ACK, reply=reply) for flow, at in instants]
    found = longest_pause_ns(part_of(rows, {}), np.array([*flows], dtype=np.int64))
    assert found == NS * max(pauses, default=0)


@pytest.mark.parametrize(
    ("replied", "packets", "listened_s", "answer"),
    [
        (True, 1, 2.0, "none"),
        (True, 1, 0.5, "unseen"),  # the capture ends
        (True, 2, 0.5, "none"),  # the client itself had none
        (False, 2, 2.0, "unseen"),  # the capture has no answers
    ],
)
def test_silence_shows_something_where_the_capture_would_have_an_answer(
    replied: bool, packets: int, listened_s: float, answer: str
) -> None:
    sent = [Seg(2000.0 + 0.1 * n, 1, Flag.ACK) for n in range(packets)]
    replies = [Seg(1000.0, 1, Flag.ACK, reply=True)] if replied else []
    part = part_of([*replies, *sent], {})
    nothing = np.zeros(0, dtype=np.int64)
    part = replace(part, legs=part.legs | {"to_server": nothing.astype(bool)})
    forth = part.segments.to_vip
    flow, at_ns = part.segments.flow[forth], part.segments.at_ns[forth]
    known = replace(facts(replies_bypass=False), last_ns=int(at_ns[0]) + round(listened_s * NS))
    late = LateRows(flow=flow, at_ns=at_ns, starts=np.zeros(1, dtype=np.int64))
    found = answers_to_clients(known, part, late)
    assert [ANSWERS[code] for code in found.tolist()] == [answer]
