"""When a connect got through is inferred from its packets, wherever they were captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analyzer.failover.handshakes import by_the_wire
from analyzer.observed.entries import ns
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import Segments, VirtualEnd, dealt_out
from tests.unit.analyzer.builders_packets import (
    ACK,
    CLIENT,
    NS,
    PORT,
    SYN,
    VIP,
    pcap,
    reply,
    request,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

AT_NS = 1_795_352_064 * NS
MS = 1_000_000


def captured(*packets: tuple[int, str, int]) -> Segments:
    """``(ms, "syn" or "synack", client port)``."""
    make: dict[str, Callable[[int], bytes]] = {
        "syn": lambda port: request(SYN, port=port),
        "synack": lambda port: reply(SYN | ACK, port=port),
        "ack": lambda port: request(ACK, port=port),
    }
    frames = [(AT_NS + ms * MS, make[word](port)) for ms, word, port in packets]
    read = read_packets(memoryview(pcap(sorted(frames))))
    return dealt_out(read, [VirtualEnd("TCP", VIP, PORT)]).segments()


def sent(*rows: tuple[int, int | None, int]) -> pd.DataFrame:
    """``(started ms, connected ms, client port)``."""
    return table(
        "requests",
        [
            {
                "id": number,
                "scheduled": AT_NS + started * MS,
                "started": AT_NS + started * MS,
                "connected": None if connected is None else AT_NS + connected * MS,
                "source_ip": CLIENT,
                "source_port": port,
            }
            for number, (started, connected, port) in enumerate(rows)
        ],
    )


def handshakes_ms(requests: pd.DataFrame, segments: Segments | None) -> list[tuple[float, float]]:
    """``asked`` and ``connected`` of each, ms; NaN where null."""
    made = by_the_wire(requests, segments)
    assert list(made["id"]) == list(requests["id"])
    columns = [(made[name] - pd.Timestamp(AT_NS, tz="UTC")) for name in ("asked", "connected")]
    return [
        (asked / pd.Timedelta("1ms"), connected / pd.Timedelta("1ms"))
        for asked, connected in zip(*columns, strict=True)
    ]


def test_a_client_that_looked_late_was_connected_as_soon_as_the_answer_came() -> None:
    wire = captured((0, "syn", 40000), (1, "synack", 40000), (90, "ack", 40000))
    assert handshakes_ms(sent((0, 90, 40000)), wire) == [(0, 1)]


def test_of_several_syns_the_last_before_the_answer_got_through() -> None:
    wire = captured((0, "syn", 40000), (1000, "syn", 40000), (1002, "synack", 40000))
    assert handshakes_ms(sent((0, 1003, 40000)), wire) == [(1000, 1002)]


def test_a_port_used_again_is_another_connection() -> None:
    wire = captured(
        *((0, "syn", 40000), (1, "synack", 40000)), *((500, "syn", 40000), (507, "synack", 40000))
    )
    assert handshakes_ms(sent((0, 2, 40000), (500, 508, 40000)), wire) == [(0, 1), (500, 507)]


def test_what_was_not_captured_stays_as_the_client_knows_it() -> None:
    wire = captured((0, "syn", 40000), (1, "synack", 40000), (20, "synack", 40001))
    rows = sent((0, 2, 40000), (10, 12, 40002), (30, None, 40003), (40, 44, 40001))
    assert str(handshakes_ms(rows, wire)) == "[(0.0, 1.0), (nan, 12.0), (nan, nan), (nan, 44.0)]"
    assert str(handshakes_ms(rows[:1], None)) == "[(nan, 2.0)]"
    assert handshakes_ms(rows[:0], wire) == []


def test_an_answer_by_another_clock_changes_nothing() -> None:
    ahead = captured((5000, "syn", 40000), (5001, "synack", 40000))
    assert str(handshakes_ms(sent((0, 2, 40000)), ahead)) == "[(nan, 2.0)]"


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 3)), max_size=30),
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["syn", "synack"]), st.integers(0, 3))),
)
def test_nothing_gets_through_before_it_is_begun_or_after_it_is_known(
    given_rows: list[tuple[int, int, int]], packets: list[tuple[int, str, int]]
) -> None:
    rows = sent(*((begun, begun + took, 40000 + port) for begun, took, port in given_rows))
    wire = captured(*((ms, word, 40000 + port) for ms, word, port in packets))
    made = by_the_wire(rows, wire)
    assert (ns(made["connected"]) >= ns(rows["started"])).all()
    assert (ns(made["connected"]) <= ns(rows["connected"])).all()
    asked = made[made["asked"].notna()]
    assert (asked["asked"] <= asked["connected"]).all()
