"""Packets of one connection as a trace shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import Flag
from analyzer.traces.packets import KEPT_EACH_SIDE, Hops, packets_of
from tests.unit.analyzer.builders_packets import Seg, segments

if TYPE_CHECKING:
    from collections.abc import Iterable

HOPS = Hops(forwarder_macs=(), through=False)
SEQUENCES = 1 << 32


def data_bytes(rows: Iterable[tuple[Flag, bool, int]]) -> list[int | None]:
    """Of packets a second apart: their flags, whether they are replies, their sequence numbers."""
    made = [
        Seg(at_s, 40000, flag, reply=reply, sequence=sequence % SEQUENCES)
        for at_s, (flag, reply, sequence) in enumerate(rows)
    ]
    return [packet.data_bytes for packet in packets_of(segments(made), HOPS, 0)[0]]


def test_the_next_sequence_number_of_a_side_says_how_much_data_a_packet_carried() -> None:
    request, answer = 83, 230
    assert data_bytes(
        [
            (Flag.SYN, False, 1000),
            (Flag.SYN, True, 5000),
            (Flag.ACK, False, 1001),
            (Flag.ACK, False, 1001),
            (Flag.ACK, True, 5001),
            (Flag.FIN, True, 5001),
            (Flag.ACK, False, 1001 + request),
            (Flag.FIN, False, 1001 + request),
            (Flag.ACK, True, 5002 + answer),
        ]
    ) == [0, 0, 0, request, 0, answer, 0, None, None]


def test_datagrams_have_no_sequence_numbers() -> None:
    assert data_bytes([(Flag.DATAGRAM, False, 0)] * 3) == [None] * 3


def test_a_packet_that_comes_before_its_turn_says_nothing() -> None:
    assert data_bytes([(Flag.ACK, False, 2000), (Flag.ACK, False, 1000)]) == [None, None]


@given(
    first=st.integers(0, SEQUENCES - 1),
    sizes=st.lists(st.integers(0, 65_535), min_size=1, max_size=3 * KEPT_EACH_SIDE),
)
def test_sizes_are_those_sent_wherever_the_numbers_begin(first: int, sizes: list[int]) -> None:
    sequence, rows = first, []
    for size in sizes:
        rows.append((Flag.ACK, False, sequence))
        sequence += size
    found = data_bytes(rows)
    if len(sizes) <= 2 * KEPT_EACH_SIDE:
        assert found == [*sizes[:-1], None]
    else:
        kept = [*sizes[:KEPT_EACH_SIDE], *sizes[-KEPT_EACH_SIDE:]]
        assert found == [*kept[: KEPT_EACH_SIDE - 1], None, *kept[KEPT_EACH_SIDE:-1], None]
