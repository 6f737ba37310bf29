"""``analyzer import`` of a capture and nothing else: which service, which director, which way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from loadgen.errors import UsageProblem
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import (
    ACK,
    BOOT_NS,
    CLIENT,
    CLIENT_MAC,
    DIRECTOR_MAC,
    FIN,
    NS,
    PORT,
    SERVER_MAC,
    SYN,
    VIP,
    ethernet,
    ipv4,
    pcap,
    reply,
    request,
    tcp,
)

if TYPE_CHECKING:
    from analyzer.report import Analysis

SERVERS, SERVER_PORT = ("10.0.0.21", "10.0.0.22"), 8080
TRUTH = Path(__file__).resolve().parents[3] / "data" / "ground-truth"


def imported(path: Path, packets: list[tuple[int, bytes]]) -> tuple[list[str], Analysis]:
    (path / "alone.pcap").write_bytes(pcap(packets))
    doubts = import_folder([path / "alone.pcap"], path / "run")
    return doubts, analyse(Recording.open(path / "run"))


def closed(port: int, began_s: float) -> list[tuple[int, bytes]]:
    """At a client in dr: it goes to the director, replies come from the real server."""
    at_ns = BOOT_NS + round(began_s * NS)
    frames = [
        request(SYN, port=port),
        reply(SYN | ACK, port=port),
        request(ACK, port=port),
        request(FIN | ACK, port=port),
        reply(FIN | ACK, port=port),
        request(ACK, port=port),
    ]
    return [(at_ns + step * 1_000_000, frame) for step, frame in enumerate(frames)]


def elsewhere(port: int, began_s: float) -> tuple[int, bytes]:
    """A SYN to some other server."""
    segment = tcp(SYN, source_port=port, destination_port=443)
    frame = ethernet(ipv4(segment, destination="192.168.10.99"))
    return BOOT_NS + round(began_s * NS), frame


def test_the_service_is_taken_to_be_where_most_syns_go_and_that_is_said(tmp_path: Path) -> None:
    packets = [packet for n in range(5) for packet in closed(40000 + n, 1000.0 + n)]
    packets += [elsewhere(50000 + n, 1001.5 + n) for n in range(3)]
    doubts, found = imported(tmp_path, packets)
    assert doubts == [f"the virtual service is taken to be {VIP}:{PORT}: most SYNs go there"]
    assert found.manifest.raw["service"] == {"protocol": "TCP", "vip": VIP, "port": PORT}
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.n, row.n_expired) == ("FIN_WAIT", "tcpfin", 5, 0)
    assert row.timeout_s is None  # nobody read it
    assert {"ActiveConn, InActConn and entries", "requests and their latencies"} <= {
        gap.what for gap in found.not_measured
    }


def test_time_begins_with_the_first_packet(tmp_path: Path) -> None:
    _, found = imported(tmp_path, closed(40000, 1000.0) + closed(40001, 1002.5))
    assert found.timeline.zero_ns == BOOT_NS + 1000 * NS
    assert found.timeline.marks["SYN"].tolist() == pytest.approx([0, 2.5])


def test_what_was_given_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"vip": "192.168.10.99", "port": 443}')
    packets = [packet for n in range(5) for packet in closed(40000 + n, 1000.0 + n)]
    (tmp_path / "alone.pcap").write_bytes(pcap([*packets, elsewhere(50000, 1001.5)]))
    doubts = import_folder([tmp_path], tmp_path / "run")
    found = analyse(Recording.open(tmp_path / "run"))
    assert doubts == []
    assert [(row.state, row.n) for row in found.lifetimes] == [("SYN_RECV", 1)]


def test_a_capture_without_a_syn_has_no_service_and_says_so(tmp_path: Path) -> None:
    doubts, found = imported(tmp_path, [(BOOT_NS, request(ACK)), (BOOT_NS + NS, reply(ACK))])
    (doubt,) = doubts
    assert "no SYN in it" in doubt
    assert found.lifetimes == ()


@pytest.mark.parametrize("content", [b"", b"not a capture", bytes(24)])
def test_a_capture_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "alone.pcap").write_bytes(content)
    with pytest.raises(UsageProblem) as caught:
        import_folder([tmp_path / "alone.pcap"], tmp_path / "run")
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


# Nat, on the director's link ----------------------------------------------------------------------


def nat_closed(port: int, began_s: float) -> list[tuple[int, bytes]]:
    """Each packet twice: to or from the VIP, and to or from one of two real servers."""
    at_ns = BOOT_NS + round(began_s * NS)
    steps = [(SYN, True), (SYN | ACK, False), (ACK, True), (FIN | ACK, True), (FIN | ACK, False)]
    packets = []
    for step, (flags, forth) in enumerate([*steps, (ACK, True)]):
        outside, inside = both_sides(flags, port, forth)
        first, then = (outside, inside) if forth else (inside, outside)
        packets += [
            (at_ns + step * 1_000_000, first),
            (at_ns + step * 1_000_000 + 50_000, then),
        ]
    return packets


def both_sides(flags: int, port: int, forth: bool) -> tuple[bytes, bytes]:
    server = SERVERS[port % len(SERVERS)]
    if forth:
        outside = request(flags, port=port)
        segment = tcp(flags, source_port=port, destination_port=SERVER_PORT)
        packet = ipv4(segment, source=CLIENT, destination=server)
        return outside, ethernet(packet, source=DIRECTOR_MAC, destination=SERVER_MAC)
    outside = reply(flags, port=port, mac=DIRECTOR_MAC)
    segment = tcp(flags, source_port=SERVER_PORT, destination_port=port, sequence=9)
    packet = ipv4(segment, source=server, destination=CLIENT)
    return outside, ethernet(packet, source=SERVER_MAC, destination=DIRECTOR_MAC)


def test_nat_is_known_by_the_packets_that_a_director_sends_on(tmp_path: Path) -> None:
    packets = [packet for n in range(6) for packet in nat_closed(40000 + n, 1000.0 + n)]
    _, found = imported(tmp_path, packets)
    assert [(row.state, row.timeout_s, row.n) for row in found.lifetimes] == [("TIME_WAIT", 120, 6)]
    (one,) = [one for one in found.findings if one.id == "tcpfin-has-no-effect"]
    assert "forwarding nat" in one.evidence


def test_nat_with_one_real_server_is_taken_by_its_first_syn(tmp_path: Path) -> None:
    """The VIP and the one real server get as many SYNs; the client's comes first."""
    one_server = [port for port in range(40000, 40012) if port % len(SERVERS) == 0]
    packets = [
        packet for n, port in enumerate(one_server) for packet in nat_closed(port, 1000.0 + n)
    ]
    _, found = imported(tmp_path, packets)
    assert found.manifest.raw["service"] == {"protocol": "TCP", "vip": VIP, "port": PORT}
    assert [(row.state, row.n) for row in found.lifetimes] == [("TIME_WAIT", 6)]


def test_seen_from_the_client_alone_nothing_is_sent_on(tmp_path: Path) -> None:
    """Only what is to or from the VIP: who answers tells dr, and in nat nothing does."""
    packets = [
        packet
        for n in range(6)
        for packet in nat_closed(40000 + n, 1000.0 + n)
        if mac(CLIENT_MAC) in (packet[1][:6], packet[1][6:12])
    ]
    _, found = imported(tmp_path, packets)
    assert "which packets passed the director" in {gap.what for gap in found.not_measured}


def mac(number: int) -> bytes:
    return number.to_bytes(6, "big")


def test_a_real_kernels_nat_is_recognised(tmp_path: Path) -> None:
    shutil.copy(TRUTH / "nat-client-close-tcpfin10" / "capture.pcap", tmp_path / "alone.pcap")
    import_folder([tmp_path / "alone.pcap"], tmp_path / "run")
    found = analyse(Recording.open(tmp_path / "run"))
    assert {row.state for row in found.lifetimes} == {"TIME_WAIT"}
