"""Packets to flows of virtual services, and which of them passed the director."""

from __future__ import annotations

import pytest

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.ipvs.states import Flag
from analyzer.wire.packets import NO_MAC, read_packets
from analyzer.wire.segments import (
    Segments,
    VirtualEnd,
    dealt_out,
    forwarders,
    passed,
    without_copies,
)
from tests.unit.analyzer.builders_packets import (
    ACK,
    CLIENT,
    CLIENT6,
    CLIENT_MAC,
    DIRECTOR_MAC,
    FIN,
    IPV6,
    NS,
    PORT,
    SERVER_MAC,
    SYN,
    VIP,
    VIP6,
    ethernet,
    ipv4,
    ipv6,
    pcap,
    tcp,
    udp,
)

AT_NS = 1_795_352_064 * NS
SERVICE = VirtualEnd("TCP", VIP, PORT)
ROUTER_MAC, OTHER_DIRECTOR_MAC, OTHER_SERVER_MAC = 0x0200000000FE, 0x020000000012, 0x020000000022
SERVER = "192.168.20.21"


def cut(*sent: bytes, ends: tuple[VirtualEnd, ...] = (SERVICE,), link: int = 1) -> Segments:
    """Of frames a millisecond apart."""
    content = pcap([(AT_NS + n * 1_000_000, frame) for n, frame in enumerate(sent)], link=link)
    return dealt_out(read_packets(memoryview(content)), ends).segments()


def forth(
    flags: int = SYN,
    *,
    port: int = 40000,
    by: tuple[int, int] = (CLIENT_MAC, DIRECTOR_MAC),
    to: str = VIP,
    sequence: int = 1,
) -> bytes:
    """From the client, on its way from one MAC to another."""
    packet = ipv4(tcp(flags, source_port=port, sequence=sequence), destination=to)
    return ethernet(packet, source=by[0], destination=by[1])


def back(
    flags: int = SYN | ACK,
    *,
    port: int = 40000,
    by: tuple[int, int] = (SERVER_MAC, CLIENT_MAC),
    of: str = VIP,
) -> bytes:
    segment = tcp(flags, source_port=PORT, destination_port=port)
    return ethernet(ipv4(segment, source=of, destination=CLIENT), source=by[0], destination=by[1])


def flows_of(found: Segments) -> list[tuple[object, ...]]:
    assert list(found.flows.columns) == list(CONNECTION_KEY)
    return list(found.flows.itertuples(index=False, name=None))


# Flows --------------------------------------------------------------------------------------------


def test_only_the_services_count() -> None:
    strangers = [
        ethernet(ipv4(tcp(SYN, destination_port=PORT + 1))),  # another port of the VIP
        ethernet(ipv4(tcp(SYN), destination="192.168.10.3")),  # another address
        ethernet(ipv4(tcp(SYN, source_port=PORT), destination="10.0.0.1")),
        ethernet(ipv4(udp(destination_port=PORT), protocol=17)),  # another protocol
    ]
    found = cut(*strangers, forth())
    assert flows_of(found) == [("TCP", CLIENT, 40000, VIP, PORT)]
    assert found.flow.tolist() == [0]


def test_each_client_port_and_virtual_end_is_a_flow() -> None:
    dns, alt = VirtualEnd("UDP", VIP, PORT), VirtualEnd("TCP", "192.168.10.3", PORT)
    six = VirtualEnd("TCP", VIP6, PORT)
    sent = [
        forth(port=40000),
        forth(port=40001),
        ethernet(ipv4(udp(source_port=40000, destination_port=PORT), protocol=17)),
        forth(port=40000, to="192.168.10.3"),
        ethernet(ipv6(tcp(SYN, source_port=40000)), ethertype=IPV6),
        forth(ACK, port=40000),
    ]
    found = cut(*sent, ends=(SERVICE, dns, alt, six))
    assert sorted(flows_of(found)) == sorted(
        [
            ("TCP", CLIENT, 40000, VIP, PORT),
            ("TCP", CLIENT, 40001, VIP, PORT),
            ("UDP", CLIENT, 40000, VIP, PORT),
            ("TCP", CLIENT, 40000, "192.168.10.3", PORT),
            ("TCP", CLIENT6, 40000, VIP6, PORT),
        ]
    )
    by_flow = {
        row: found.flag[found.flow == number].tolist() for number, row in enumerate(flows_of(found))
    }
    assert by_flow["TCP", CLIENT, 40000, VIP, PORT] == [Flag.SYN, Flag.ACK]
    assert by_flow["UDP", CLIENT, 40000, VIP, PORT] == [Flag.DATAGRAM]


def test_segments_stand_by_flow_and_then_by_time() -> None:
    sent = [(3, 40001, SYN), (2, 40000, ACK), (1, 40000, SYN), (4, 40001, ACK)]
    content = pcap((AT_NS + at, forth(flag, port=port)) for at, port, flag in sent)
    found = dealt_out(read_packets(memoryview(content)), [SERVICE]).segments()
    assert (found.at_ns - AT_NS).tolist() == [1, 2, 3, 4]
    assert found.flow.tolist() == [0, 0, 1, 1]
    assert found.starts().tolist() == [0, 2]


def test_of_packets_at_one_instant_the_captures_order_holds() -> None:
    content = pcap([(AT_NS, forth(SYN)), (AT_NS, forth(ACK)), (AT_NS, forth(FIN))])
    found = dealt_out(read_packets(memoryview(content)), [SERVICE]).segments()
    assert found.flag.tolist() == [Flag.SYN, Flag.ACK, Flag.FIN]


def test_both_directions_are_of_one_flow() -> None:
    found = cut(forth(SYN, sequence=77), back())
    assert found.flow.tolist() == [0, 0]
    assert found.to_vip.tolist() == [True, False]
    assert found.sequence.tolist() == [77, 1]
    assert found.source_mac.tolist() == [CLIENT_MAC, SERVER_MAC]
    assert found.destination_mac.tolist() == [DIRECTOR_MAC, CLIENT_MAC]


def test_only_keeps_the_chosen_rows_and_the_flows_numbers() -> None:
    found = cut(forth(port=40000), forth(port=40001), forth(ACK, port=40001))
    rest = found.only(found.flow == 1)
    assert rest.flow.tolist() == [1, 1]
    assert rest.flag.tolist() == [Flag.SYN, Flag.ACK]
    assert rest.starts().tolist() == [0]
    assert flows_of(rest) == flows_of(found)


@pytest.mark.parametrize(
    "ends",
    [
        (),
        (VirtualEnd("TCP", "192.0.2.1", 80),),  # not in the capture
        (VirtualEnd("TCP", VIP, 443),),
        (VirtualEnd("SCTP", VIP, PORT),),  # no such packets are read
    ],
)
def test_a_service_without_packets_has_no_flows(ends: tuple[VirtualEnd, ...]) -> None:
    found = cut(forth(), back(), ends=ends)
    assert len(found.flow) == len(found.flows) == 0
    assert found.starts().tolist() == []
    assert forwarders(found) == frozenset()


def test_a_service_that_is_not_in_the_capture_does_not_hide_one_that_is() -> None:
    strangers = (VirtualEnd("TCP", "192.0.2.1", PORT), VirtualEnd("SCTP", VIP, PORT))
    assert len(cut(forth(), ends=(*strangers, SERVICE)).flow) == 1


def test_two_virtual_ends_that_talk_to_each_other_are_client_and_service() -> None:
    """A real server that is a client of another VIP: the destination is the service."""
    other = VirtualEnd("TCP", CLIENT, 40000)
    found = cut(forth(), ends=(SERVICE, other))
    assert flows_of(found) == [("TCP", CLIENT, 40000, VIP, PORT)]


# Who forwards, and what passed --------------------------------------------------------------------

TO_DIRECTOR = (CLIENT_MAC, DIRECTOR_MAC)
FORWARDED = (DIRECTOR_MAC, SERVER_MAC)
TO_CLIENT = (SERVER_MAC, CLIENT_MAC)
FROM_DIRECTOR = (DIRECTOR_MAC, CLIENT_MAC)

CAPTURES = {
    # what the capture holds, whose MACs forward, which rows passed the director, once
    "dr, the director's link": (
        [
            forth(by=TO_DIRECTOR),
            forth(by=FORWARDED),
            forth(ACK, by=TO_DIRECTOR),
            forth(ACK, by=FORWARDED),
        ],
        {DIRECTOR_MAC},
        [Flag.SYN, Flag.ACK],
    ),
    "dr, the client's side": (
        [forth(by=TO_DIRECTOR), back(by=TO_CLIENT), forth(ACK, by=TO_DIRECTOR)],
        {DIRECTOR_MAC},
        [Flag.SYN, Flag.ACK],
    ),
    "dr, the client's side, two servers": (
        [forth(by=TO_DIRECTOR), back(by=TO_CLIENT), back(by=(OTHER_SERVER_MAC, CLIENT_MAC))],
        {DIRECTOR_MAC},
        [Flag.SYN],
    ),
    "dr, a server's side": (
        [forth(by=FORWARDED), back(by=TO_CLIENT), forth(ACK, by=FORWARDED)],
        {DIRECTOR_MAC},
        [Flag.SYN, Flag.ACK],
    ),
    "nat, the director's link, both sides of it": (
        [
            forth(by=TO_DIRECTOR),
            forth(by=FORWARDED, to=SERVER),
            back(of=SERVER, by=(SERVER_MAC, DIRECTOR_MAC)),
            back(by=FROM_DIRECTOR),
            forth(ACK, by=TO_DIRECTOR),
            forth(ACK, by=FORWARDED, to=SERVER),
        ],
        set(),  # it takes requests and sends replies, as a server does that answers by itself
        None,
    ),
    "dr, all on one wire": (
        [forth(by=TO_DIRECTOR), forth(by=FORWARDED), back(by=TO_CLIENT)],
        {DIRECTOR_MAC},
        [Flag.SYN],
    ),
    "dr, a router before the director": (
        [
            forth(by=(ROUTER_MAC, DIRECTOR_MAC)),
            forth(by=FORWARDED),
            back(by=(SERVER_MAC, ROUTER_MAC)),
        ],
        {DIRECTOR_MAC},
        [Flag.SYN],
    ),
}


@pytest.mark.parametrize(("sent", "macs", "flags"), CAPTURES.values(), ids=CAPTURES.keys())
def test_who_forwards_is_inferred_from_the_wire(
    sent: list[bytes], macs: set[int], flags: list[Flag] | None
) -> None:
    found = cut(*sent)
    assert forwarders(found) == macs
    if flags is not None:
        chosen = found.only(passed(found, macs))
        assert chosen.flag.tolist() == flags


def test_in_nat_the_replies_pass_it_too_each_once() -> None:
    """On the director's link each passes twice, but the copies bear the server's address."""
    sent, _, _ = CAPTURES["nat, the director's link, both sides of it"]
    found = cut(*sent)
    chosen = found.only(passed(found, {DIRECTOR_MAC}))
    assert chosen.flag.tolist() == [Flag.SYN, Flag.SYN, Flag.ACK]
    assert chosen.to_vip.tolist() == [True, False, True]


def test_a_reply_that_a_server_sends_past_the_director_did_not_pass_it() -> None:
    found = cut(forth(by=TO_DIRECTOR), back(by=TO_CLIENT))
    assert passed(found, {DIRECTOR_MAC}).tolist() == [True, False]


def test_replies_routed_back_through_a_dr_director_count_as_they_leave_it() -> None:
    found = cut(
        forth(by=TO_DIRECTOR),
        forth(by=FORWARDED),
        back(by=(SERVER_MAC, DIRECTOR_MAC)),
        back(by=FROM_DIRECTOR),
    )
    assert passed(found, {DIRECTOR_MAC}).tolist() == [True, False, False, True]


def test_of_two_directors_each_has_its_own() -> None:
    found = cut(
        forth(port=40000, by=TO_DIRECTOR),
        forth(port=40001, by=(CLIENT_MAC, OTHER_DIRECTOR_MAC)),
    )
    assert passed(found, {DIRECTOR_MAC}).tolist() == [True, False]
    assert passed(found, {OTHER_DIRECTOR_MAC}).tolist() == [False, True]
    assert passed(found, set()).tolist() == [False, False]


def test_copies_that_the_director_sent_on_are_left_out() -> None:
    sent, _, _ = CAPTURES["dr, all on one wire"]
    found = cut(*sent)
    kept = found.only(without_copies(found, {DIRECTOR_MAC}))
    assert kept.flag.tolist() == [Flag.SYN, Flag.SYN]
    assert kept.to_vip.tolist() == [True, False]


def test_at_a_servers_side_what_the_director_sent_on_is_all_there_is() -> None:
    sent, _, _ = CAPTURES["dr, a server's side"]
    found = cut(*sent)
    assert without_copies(found, {DIRECTOR_MAC}).all()
    assert without_copies(found, set()).all()


def test_a_link_without_macs_tells_nobody() -> None:
    packets = [
        ipv4(tcp(SYN)),
        ipv4(
            tcp(SYN | ACK, source_port=PORT, destination_port=40000), source=VIP, destination=CLIENT
        ),
    ]
    found = cut(*packets, link=101)
    assert set(found.source_mac) == {NO_MAC}
    assert forwarders(found) == frozenset()


def test_requests_alone_at_the_clients_side_tell_nobody() -> None:
    """Without a reply it may be the server itself that they go to."""
    assert forwarders(cut(forth(), forth(ACK))) == frozenset()
    answered_from_there = cut(forth(by=TO_DIRECTOR), back(by=FROM_DIRECTOR))
    assert forwarders(answered_from_there) == frozenset()
