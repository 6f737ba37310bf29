"""How a director forwards: inferred where it can be, else assumed, and that is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from analyzer.report import to_json
from tests.unit.analyzer.builders_capture import (
    CLIENT6,
    CLOSED,
    DATAGRAM,
    RST,
    SERVERS6,
    SYN,
    VIP6,
    Hop,
    Net,
    capture,
    finding,
    imported,
)

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.evidence.forwarding import Basis
    from analyzer.report import Analysis
    from tests.unit.analyzer.builders_capture import Link, Place, Step, Way

VRRP_MAC, HSRP_MAC = 0x00005E000151, 0x00000C07AC01
N = 6
VIRTUAL_GATEWAY = {"back_mac": 0x020000000001}


def hops(net: Net, n: int = N, steps: tuple[Step, ...] = CLOSED) -> list[Hop]:
    return [hop for k in range(n) for hop in net.connection(40000 + k, 0.1 * k, steps)]


def analysed(
    path: Path, net: Net, place: Place, link: Link, *more: tuple[str, str], n: int = N
) -> Analysis:
    return imported(path, capture(hops(net, n), place, link, net), *more)


def method_and_basis(found: Analysis) -> tuple[str, Basis]:
    assert found.forwarding is not None
    return found.forwarding.method, found.forwarding.basis


ANY: tuple[Link, ...] = ("ethernet", "sll", "sll2")

WAYS: list[tuple[Way, Place, Link, tuple[str, Basis]]] = [
    *(("nat", "director", link, ("nat", "packets")) for link in (*ANY, "raw")),
    *(("dr", "director", link, ("dr", "packets")) for link in ANY),
    ("dr", "client", "ethernet", ("dr", "packets")),
    ("dr", "server", "ethernet", ("dr", "packets")),
    # nothing tells:
    ("dr", "director", "raw", ("dr", "assumed")),  # a router would look the same
    *(("nat", place, link, ("dr", "assumed")) for place in ("client", "outside") for link in ANY),
    *(("nat", "vip-on-director", link, ("dr", "assumed")) for link in ANY),
    *(("dr", "client", link, ("dr", "assumed")) for link in ("sll", "sll2", "raw")),
    *(("dr", "server", link, ("dr", "assumed")) for link in ("sll", "sll2", "raw")),
    *(("dr-gateway", "director", link, ("dr", "assumed")) for link in ANY),
    ("dr", "outside", "ethernet", ("dr", "assumed")),  # one direction alone
]


@pytest.mark.parametrize(("way", "place", "link", "expected"), WAYS)
def test_what_a_capture_tells_depends_on_where_it_was_taken(
    tmp_path: Path, way: Way, place: Place, link: Link, expected: tuple[str, Basis]
) -> None:
    found = analysed(tmp_path, Net(way=way), place, link)
    assert method_and_basis(found) == expected
    (row,) = found.lifetimes  # each packet counts once, however often it was captured
    assert row.n == N
    state = "TIME_WAIT" if expected[0] == "nat" or way == "dr-gateway" else "FIN_WAIT"
    assert row.state == state
    assert not [trace for trace in found.traces if "syn-repeated" in trace.reasons]
    assumed = expected[1] == "assumed"
    assert (finding(found, "forwarding-assumed") is not None) == assumed
    assert ("forwarding (dr, tun or nat)" in {gap.what for gap in found.not_measured}) == assumed


@pytest.mark.parametrize("link", ["ethernet", "sll2", "raw"])
def test_nat_of_ipv6_with_another_port_is_known_by_its_packets(tmp_path: Path, link: Link) -> None:
    net = Net(way="nat", client=CLIENT6, vip=VIP6, servers=SERVERS6, rport=8080)
    found = analysed(tmp_path, net, "director", link)
    assert method_and_basis(found) == ("nat", "packets")
    assert found.forwarding is not None
    assert "[2001:db8:1::21]:8080" in found.forwarding.why


@pytest.mark.parametrize("link", ["ethernet", "sll", "raw"])
def test_nat_of_datagrams_is_known_where_both_directions_are_sent_on(
    tmp_path: Path, link: Link
) -> None:
    steps: tuple[Step, ...] = ((0.0, ">", DATAGRAM), (0.01, "<", DATAGRAM))
    net = Net(way="nat", vport=53)
    meta = ("meta.json", json.dumps({"vip": net.vip, "port": 53, "protocol": "UDP"}))
    content = capture(hops(net, steps=steps), "director", link, net)
    found = imported(tmp_path, content, meta)
    assert method_and_basis(found) == ("nat", "packets")


def test_a_client_of_several_servers_does_not_look_like_nat(tmp_path: Path) -> None:
    """The same port, the same instant, another address: the client's own second connection."""
    net, other = Net(), Net(vip="203.0.113.5", director_mac=0x0200000000AA)
    both = [
        hop
        for k in range(N)
        for one in (net, other)
        for hop in one.connection(40000 + k, 0.1 * k)[:: 1 if one is net else 2]
    ]
    meta = ("meta.json", json.dumps({"vip": net.vip, "port": 80}))
    for link in ("ethernet", "sll"):
        found = imported(tmp_path / link, capture(both, "client", link, net), meta)
        assert found.forwarding is not None
        assert found.forwarding.method == "dr"


def test_a_router_that_sends_to_the_vip_by_its_own_rules_is_no_director_in_nat(
    tmp_path: Path,
) -> None:
    """Before it the address is another, after it the VIP: the other way round than a director."""
    inner = Net()
    outer = [
        Hop(
            hop.at_s - 1e-5 if hop.target[0] == inner.vip else hop.at_s + 1e-5,
            hop.flags,
            hop.sequence,
            ("203.0.113.80", 80) if hop.source[0] == inner.vip else hop.source,
            ("203.0.113.80", 80) if hop.target[0] == inner.vip else hop.target,
            0x0200000000EE if hop.target[0] == inner.vip else inner.near_mac,
            inner.near_mac if hop.target[0] == inner.vip else 0x0200000000EE,
        )
        for hop in hops(inner)
        if inner.near_mac in (hop.by, hop.to)
    ]
    meta = ("meta.json", json.dumps({"vip": inner.vip, "port": 80}))
    for link in ("sll", "raw"):
        content = capture([*hops(inner), *outer], "client", link, inner)
        found = imported(tmp_path / link, content, meta)
        assert method_and_basis(found) == ("dr", "assumed")


def test_a_client_in_nat_behind_routers_that_differ_by_direction_is_not_inferred_to_be_dr(
    tmp_path: Path,
) -> None:
    """What comes by a router had its TTL lowered; on the director's link dr's replies have 64."""
    net = Net(way="nat", back_by=0x0200000000EE)
    found = analysed(tmp_path, net, "client", "ethernet")
    assert method_and_basis(found) == ("dr", "assumed")
    assert found.forwarding is not None
    assert "by a router (their TTL was lowered)" in found.forwarding.why
    assert "TIME_WAIT" in found.verdict


@pytest.mark.parametrize("mac", [VRRP_MAC, HSRP_MAC])
def test_a_gateway_of_a_virtual_mac_answers_from_another_and_tells_nothing(
    tmp_path: Path, mac: int
) -> None:
    """A client sends to the pair's MAC, and its replies come from the active router's own."""
    net = Net(way="nat")
    sent = [
        Hop(hop.at_s, hop.flags, hop.sequence, hop.source, hop.target, hop.by, hop.to)
        if hop.by != net.near_mac
        else Hop(hop.at_s, hop.flags, hop.sequence, hop.source, hop.target, hop.by, mac)
        for hop in hops(net)
    ]
    found = imported(tmp_path, capture(sent, "client", "ethernet", net))
    assert method_and_basis(found) == ("dr", "assumed")


def test_interfaces_on_top_of_each_other_show_a_packet_several_times(tmp_path: Path) -> None:
    """A bond's port, the bond and its VLAN: three times in, three times out."""
    net = Net(way="nat")
    thrice = [
        Hop(hop.at_s + 2e-6 * k, *(getattr(hop, name) for name in _REST))
        for hop in hops(net)
        for k in range(3)
    ]
    found = imported(tmp_path, capture(thrice, "director", "sll2", net))
    assert method_and_basis(found) == ("nat", "packets")
    assert {(row.state, row.n) for row in found.lifetimes} == {("TIME_WAIT", N)}
    (usual,) = [trace for trace in found.traces if "usual" in trace.reasons]
    assert usual.packets_in_all == len(CLOSED)


_REST = ("flags", "sequence", "source", "target", "by", "to")


# The verdict --------------------------------------------------------------------------------------


def test_the_verdict_says_what_it_rests_on_and_what_nat_would_be(tmp_path: Path) -> None:
    net = Net(way="nat", near_mac=0x0200000000FE)
    found = analysed(tmp_path, net, "client", "ethernet")
    assert found.verdict.startswith("If forwarding is dr or tun (assumed), tcpfin governs")
    assert "if it is nat, TIME_WAIT governs, 120 s fixed in the kernel" in found.verdict
    document = to_json(found)["forwarding"]
    assert (document["method"], document["basis"]) == ("dr", "assumed")
    assert document["otherwise"] == {
        "method": "nat",
        "state": "TIME_WAIT",
        "counted": "inactive",
        "timeout_name": "fixed",
        "timeout_s": 120.0,
        "n": N,
    }
    governs = finding(found, "tcpfin-governs")
    assert governs is not None
    assert governs.title.startswith("If forwarding is dr or tun (assumed)")
    one = finding(found, "forwarding-assumed")
    assert one is not None
    assert one.severity == "warning"
    assert "ipvsadm -Ln" in one.advice
    assert "meta.json" in one.advice


@pytest.mark.parametrize(
    "steps",
    [
        ((0.0, ">", SYN),),  # half-open
        ((0.0, ">", SYN), (0.001, "<", SYN | 0x10), (0.002, ">", 0x10), (0.003, ">", RST)),
        ((0.0, ">", SYN), (0.001, "<", SYN | 0x10), (0.002, ">", 0x10)),  # open and idle
    ],
)
def test_where_nat_would_come_to_the_same_the_verdict_is_not_hedged(
    tmp_path: Path, steps: tuple[Step, ...]
) -> None:
    net = Net(way="nat")
    found = imported(tmp_path, capture(hops(net, steps=steps), "client", "ethernet", net))
    assert method_and_basis(found) == ("dr", "assumed")
    assert not found.verdict.startswith("If ")
    one = finding(found, "forwarding-assumed")
    assert one is not None
    if len(steps) > 1:  # without any reply nat's part cannot be inferred
        assert one.severity == "info"


# What is configured -------------------------------------------------------------------------------

LOG = """Sat Nov 28 00:16:40 UTC 2026
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.80:80 rr
  -> 10.9.0.21:80                 {forward}   1      0          0
Sat Nov 28 00:16:41 UTC 2026
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.80:80 rr
  -> 10.9.0.21:80                 {forward}   1      0          6
"""


@pytest.mark.parametrize(
    ("forward", "method", "state"),
    [("Masq", "nat", "TIME_WAIT"), ("Route", "dr", "FIN_WAIT"), ("Tunnel", "tun", "FIN_WAIT")],
)
def test_what_a_director_printed_wins(
    tmp_path: Path, forward: str, method: str, state: str
) -> None:
    net = Net(way="nat")
    log = ("poll.log", LOG.format(forward=f"{forward:7}"))
    found = analysed(tmp_path, net, "client", "ethernet", log)
    assert method_and_basis(found) == (method, "configured")
    assert [row.state for row in found.lifetimes] == [state]
    assert finding(found, "forwarding-assumed") is None
    assert finding(found, "forwarding-differs") is None


def test_packets_that_contradict_what_is_configured_are_said_to(tmp_path: Path) -> None:
    net = Net(way="nat")
    log = ("poll.log", LOG.format(forward="Route  "))
    found = analysed(tmp_path / "a", net, "director", "sll", log)
    assert method_and_basis(found) == ("dr", "configured")
    one = finding(found, "forwarding-differs")
    assert one is not None
    assert one.severity == "warning"
    assert "sent on to 10.9.0.21:80" in one.evidence or "10.9.0.22:80" in one.evidence
    meta = ("meta.json", json.dumps({"vip": net.vip, "port": 80, "forwarding": "nat"}))
    found = analysed(tmp_path / "b", Net(), "director", "ethernet", meta)
    assert method_and_basis(found) == ("nat", "configured")
    one = finding(found, "forwarding-differs")
    assert one is not None
    assert "sent on to the same address" in one.evidence


ENTRIES = """Sat Nov 28 00:16:41 UTC 2026
IPVS connection entries
pro expire state       source             virtual            destination
TCP 01:59  {state}   198.51.100.9:40000 192.0.2.80:80   10.9.0.21:{port}
Sat Nov 28 00:16:42 UTC 2026
IPVS connection entries
pro expire state       source             virtual            destination
TCP 01:58  {state}   198.51.100.9:40000 192.0.2.80:80   10.9.0.21:{port}
"""


@pytest.mark.parametrize(
    ("state", "port", "method"),
    [("TIME_WAIT", 80, "nat"), ("FIN_WAIT", 80, "dr"), ("ESTABLISHED", 8080, "nat")],
)
def test_entries_tell_where_nobody_printed_the_services(
    tmp_path: Path, state: str, port: int, method: str
) -> None:
    net = Net(way="nat")
    log = ("poll.log", ENTRIES.format(state=state, port=port))
    meta = ("meta.json", json.dumps({"vip": net.vip, "port": 80}))
    found = analysed(tmp_path, net, "client", "ethernet", log, meta)
    assert method_and_basis(found) == (method, "entries")


def test_a_capture_from_behind_a_director_in_nat_says_that_it_has_none_of_the_service(
    tmp_path: Path,
) -> None:
    net = Net(way="nat", rport=8080)
    log = ("poll.log", LOG.format(forward="Masq   "))
    found = analysed(tmp_path, net, "server", "ethernet", log)
    (gap,) = [gap for gap in found.not_measured if gap.what.startswith("the capture beside")]
    assert "the capture has no connection to a service of the log" in gap.why


def test_the_director_that_captures_is_known_by_its_own_macs(tmp_path: Path) -> None:
    net = Net(way="nat")
    meta = {"vip": net.vip, "port": 80, "forwarding": "nat"}
    meta |= {"director": {"mac": "02:00:00:00:00:0d"}}
    text = ("meta.json", json.dumps(meta))
    for place in ("director", "client"):
        for link in ("sll", "sll2", "raw", "ethernet"):
            found = analysed(tmp_path / f"{place}-{link}", net, place, link, text)
            assert {(row.state, row.n) for row in found.lifetimes} == {("TIME_WAIT", N)}


MASQUERADING, HIDDEN = 0x0200000000AA, "10.1.1.9"


def masqueraded() -> tuple[Net, list[Hop]]:
    """Captured on the router: the clients' own addresses come in, the router's go out."""
    out = Net(client="203.0.113.1", near_mac=MASQUERADING)
    came = [
        Hop(
            hop.at_s - 2e-5 if hop.by == MASQUERADING else hop.at_s + 2e-5,
            hop.flags,
            hop.sequence,
            (HIDDEN, 51000 + hop.source[1] % 1000) if hop.by == MASQUERADING else hop.source,
            (HIDDEN, 51000 + hop.target[1] % 1000) if hop.to == MASQUERADING else hop.target,
            0x0200000000BB if hop.by == MASQUERADING else MASQUERADING,
            MASQUERADING if hop.by == MASQUERADING else 0x0200000000BB,
        )
        for hop in hops(out)
        if MASQUERADING in (hop.by, hop.to)
    ]
    return out, [*hops(out), *came]


@pytest.mark.parametrize("link", ["ethernet", "sll", "sll2"])
def test_a_masquerading_router_shows_each_connection_twice_and_it_counts_once(
    tmp_path: Path, link: Link
) -> None:
    out, packets = masqueraded()
    meta = ("meta.json", json.dumps({"vip": out.vip, "port": 80}))
    found = imported(tmp_path, capture(packets, "client", link, out), meta)
    assert [(row.state, row.n) for row in found.lifetimes] == [("FIN_WAIT", N)]
    assert {trace.client.split(":")[0] for trace in found.traces} == {"203.0.113.1"}
    (gap,) = [gap for gap in found.not_measured if "own addresses" in gap.what]
    assert gap.what.startswith(f"{N} connections")


def test_what_a_masqueraded_clients_port_sends_elsewhere_changes_nothing(tmp_path: Path) -> None:
    out, packets = masqueraded()
    elsewhere = Hop(0.5, SYN, 9, (HIDDEN, 51000), ("203.0.113.200", 443), 0xBB, MASQUERADING)
    content = capture([*packets, elsewhere], "client", "ethernet", out)
    found = imported(tmp_path, content, ("meta.json", json.dumps({"vip": out.vip, "port": 80})))
    assert [(row.state, row.n) for row in found.lifetimes] == [("FIN_WAIT", N)]
