"""The services of a capture, whatever the stretches that it is gone through in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.parts import IN_MEMORY, InMemory
from analyzer.wire.packets import UDP, PacketTable, read_packets
from analyzer.wire.segments import VirtualEnd, dealt_out
from analyzer.wire.services import (
    busiest_datagram_end,
    busiest_end,
    service_numbers,
    services_of,
)
from tests.unit.analyzer.builders_packets import (
    ACK,
    CLIENT,
    NS,
    SYN,
    VIP,
    ethernet,
    ipv4,
    pcap,
    tcp,
    udp,
)

AT_NS = 1_795_352_064 * NS
STORES = (IN_MEMORY, InMemory(part_rows=1), InMemory(part_rows=3))
FORTH = {"source": 0x020000000001, "destination": 0x020000000002}


def packets(*sent: tuple[int, bytes]) -> PacketTable:
    """IPv4 packets, at so many milliseconds each."""
    frames = [(AT_NS + at_ms * 1_000_000, ethernet(packet, **FORTH)) for at_ms, packet in sent]
    return read_packets(memoryview(pcap(frames)))


def syn(client: int, port: int, flags: int = SYN) -> bytes:
    return ipv4(tcp(flags, source_port=client, destination_port=port))


def datagram(client: int, port: int) -> bytes:
    return ipv4(udp(source_port=client, destination_port=port), protocol=UDP)


def answer(client: int, port: int) -> bytes:
    back = udp(source_port=port, destination_port=client)
    return ipv4(back, source=VIP, destination=CLIENT, protocol=UDP)


@pytest.mark.parametrize("store", STORES)
def test_the_busiest_end_has_most_syns_and_among_equals_the_first(store: InMemory) -> None:
    sent = [(3, syn(1, 81)), (4, syn(2, 82)), (1, syn(3, 83)), (5, syn(4, 82)), (6, syn(5, 81))]
    answers = [(7 + n, syn(80 + n, 9, SYN | ACK)) for n in range(4)]
    assert busiest_end(packets(*sent, *answers), store) == VirtualEnd("TCP", VIP, 81)
    assert busiest_end(packets(*sent, (9, syn(6, 83)), (9, syn(7, 83))), store) == VirtualEnd(
        "TCP", VIP, 83
    )
    assert busiest_end(packets(*answers), store) is None


@pytest.mark.parametrize("store", STORES)
def test_conversations_count_not_datagrams(store: InMemory) -> None:
    asked = [(n, datagram(1000 + n, 53)) for n in range(3)]
    again = [(10 + n, datagram(1000, 123)) for n in range(9)]
    assert busiest_datagram_end(packets(*asked, *again), store) == VirtualEnd("UDP", VIP, 53)
    assert busiest_datagram_end(packets((0, syn(1, 80))), store) is None


datagrams = st.tuples(st.integers(1, 4), st.integers(1, 4), st.booleans())


@given(st.lists(datagrams, min_size=1, max_size=30), st.integers(1, 9))
def test_the_end_with_most_conversations_is_the_same_in_any_parts(
    rows: list[tuple[int, int, bool]], part_rows: int
) -> None:
    """A client's port, the VIP's, and whether it is a reply; two in each millisecond."""
    talked = Counter[VirtualEnd]()
    known, sent = set[tuple[int, int]](), []
    for n, (client, port, is_reply) in enumerate(rows):
        ends = [VirtualEnd("UDP", VIP, port), VirtualEnd("UDP", CLIENT, client)]
        talked.update([] if (client, port) in known else ends[::-1] if is_reply else ends)
        known.add((client, port))
        sent.append((n // 2, answer(client, port) if is_reply else datagram(client, port)))
    store = InMemory(part_rows=part_rows)
    assert busiest_datagram_end(packets(*sent), store) == talked.most_common(1)[0][0]


@pytest.mark.parametrize("store", STORES)
def test_services_are_in_the_order_of_their_flows(store: InMemory) -> None:
    ends = [VirtualEnd("TCP", VIP, port) for port in (80, 443)]
    sent = packets((0, syn(2, 80)), (1, syn(1, 443)), (2, syn(3, 443)))
    found = dealt_out(sent, ends, store).segments()
    services = services_of(found)
    assert services["port"].tolist() == [443, 80]
    assert service_numbers(found.flows, services).tolist() == [0, 1, 0]
    chosen = found.rows(lambda part: part.flow != 1)
    assert chosen.tolist() == [0, 2]
    assert found.of_flows(np.array([2, 0, 7])).flow.tolist() == [0, 2]
    assert found.any(lambda part: part.flow == 2)
    assert not found.any(lambda part: part.flow == 7)
    assert found.span_ns() == (AT_NS, AT_NS + 2_000_000)
