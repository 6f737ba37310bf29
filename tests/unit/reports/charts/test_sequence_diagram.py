"""A sequence diagram keeps the order of time, marks what was inferred, and overlaps nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.traces.model import Packet, Span
from reports.charts.sequence_diagram import BAR_X, LANES, LINE, Bar, diagram, packet_name
from reports.charts.sequence_diagram import clock as shown
from tests.unit.reports import builders_analysis as build


def bars(drawing_bars: list[Bar], column: int) -> list[Bar]:
    return [bar for bar in drawing_bars if bar.x == BAR_X + 18 * column]


def test_what_was_captured_is_solid_and_what_follows_from_it_is_not() -> None:
    drawing = diagram(build.trace())
    hops = {(arrow.x1, arrow.x2): arrow.seen for arrow in drawing.arrows}
    assert hops == {
        (LANES["client"], LANES["director"]): True,
        (LANES["director"], LANES["server"]): False,
        (LANES["server"], LANES["client"]): True,
    }


def test_a_reply_that_goes_by_the_director_hops_over_its_line() -> None:
    hopping = [arrow for arrow in diagram(build.trace()).arrows if arrow.hop_x]
    assert [(arrow.x1, arrow.hop_x, arrow.x2) for arrow in hopping] == [
        (LANES["server"], LANES["director"], LANES["client"])
    ]


def test_the_bars_of_the_entry_join_without_a_gap_and_are_named() -> None:
    drawing = diagram(build.trace())
    predicted = bars(drawing.bars, 0)
    assert [bar.hue for bar in predicted] == ["orange", "green", "blue"]
    assert all(a.y + a.height == b.y for a, b in pairwise(predicted))
    named = [label.text for label in drawing.labels if label.kind == "state"]
    assert named == ["SYN_RECV", "ESTABLISHED", "FIN_WAIT"]


def test_an_entry_that_was_not_seen_to_go_has_an_open_end() -> None:
    (seen,) = bars(diagram(build.trace()).bars, 1)
    assert seen.open_end
    assert not any(bar.open_end for bar in bars(diagram(build.trace()).bars, 0))


def test_a_polled_state_that_differs_is_named_too() -> None:
    named = [x.text for x in diagram(build.half_open_trace()).labels if x.kind == "state"]
    assert named == ["SYN_RECV", "CLOSE seen"]


def test_a_long_silence_is_marked() -> None:
    drawing = diagram(build.half_open_trace())
    assert len(drawing.pauses) == 2  # before the repeated SYN, and before the end


def test_times_since_the_first_packet_have_three_figures() -> None:
    times = [0, 2.5e-7, 1.13e-4, 0.0352, 0.99999, 1.0131, 20.33, 93.9, 900.0]
    assert [shown(t_s) for t_s in times] == [
        "0",
        "0",
        "113 µs",
        "35.2 ms",
        "1.00 s",
        "1.01 s",
        "20.3 s",
        "93.9 s",
        "900 s",
    ]


def test_a_step_that_seconds_would_hide_is_timed_since_the_row_above() -> None:
    one = build.trace()
    packets = [replace(one.packets[0], t_s=0.4 + at_s) for at_s in (0, 0.03, 1.2, 1.2035, 2.5)]
    drawing = diagram(replace(one, packets=tuple(packets), retentions=()))
    times = [label.text for label in drawing.labels if label.kind == "time"]
    assert times == ["0", "30.0 ms", "1.20 s", "+3.5 ms", "2.50 s"]


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=60), st.lists(st.floats(0, 1e4)))
def test_no_label_stands_over_another_and_rows_go_down(
    times: list[float], edges: list[float]
) -> None:
    one = build.trace()
    states = ["SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE"]
    spans = [
        Span(state=states[i % 4], from_s=a, until_s=b)
        for i, (a, b) in enumerate(pairwise(sorted(edges)))
    ]
    packets = tuple(replace(one.packets[0], t_s=t_s) for t_s in sorted(times))
    drawing = diagram(
        replace(one, first_s=min(times), packets=packets, predicted=tuple(spans), observed=())
    )
    for kind in ("state", "time"):
        heights = [label.y for label in drawing.labels if label.kind == kind]
        assert all(b - a >= LINE - 0.1 for a, b in pairwise(heights))
    assert all(bar.height > 0 for bar in drawing.bars)
    assert max(arrow.y for arrow in drawing.arrows) < drawing.height


@pytest.mark.parametrize(
    ("flag", "data_bytes", "name"),
    [
        ("SYN", 0, "SYN"),
        ("ACK", 0, "ACK"),
        ("ACK", None, "ACK"),
        ("ACK", 1234, "data, 1,234 B"),
        ("FIN", 230, "FIN, 230 B"),
        ("DATAGRAM", None, "datagram"),
    ],
)
def test_a_packet_with_data_is_named_for_it(flag: str, data_bytes: int | None, name: str) -> None:
    packet = Packet(t_s=0.0, flag=flag, to_vip=True, legs=(), data_bytes=data_bytes)
    assert packet_name(packet) == name
