"""Captures without TCP: UDP alone, and VRRP alone, without a ``meta.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, ethernet, ipv4, pcap, udp

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis

SERVER, CLIENTS = "192.0.2.80", ("198.51.100.9", "198.51.100.10")
Packets = list[tuple[int, bytes]]


def imported(path: Path, packets: Packets) -> tuple[list[str], Analysis]:
    (path / "alone").write_bytes(pcap(packets))
    doubts = import_folder([path / "alone"], path / "run")
    return doubts, analyse(Recording.open(path / "run"))


def datagram(at_s: float, source: str, port: int, target: str, to_port: int) -> tuple[int, bytes]:
    body = udp(source_port=port, destination_port=to_port, payload=b"?")
    packet = ipv4(body, source=source, destination=target, protocol=17)
    return BOOT_NS + round(at_s * NS), ethernet(packet)


def answered(at_s: float, client: str, port: int, server_port: int = 53) -> Packets:
    return [
        datagram(at_s, client, port, SERVER, server_port),
        datagram(at_s + 0.01, SERVER, server_port, client, port),
    ]


@pytest.mark.parametrize("server_port", [53, 51820])
def test_the_service_is_the_udp_end_of_most_conversations(tmp_path: Path, server_port: int) -> None:
    packets = [
        packet
        for number in range(6)
        for packet in answered(number, CLIENTS[number % 2], 40000 + number, server_port)
    ]
    packets += [datagram(2.5, CLIENTS[0], 5353, "224.0.0.251", 5353)] * 20
    doubts, found = imported(tmp_path, packets[1:])  # the first that was captured is an answer
    assert doubts == [
        f"the virtual service is taken to be UDP {SERVER}:{server_port}: "
        "most UDP conversations are with it"
    ]
    service = {"protocol": "UDP", "vip": SERVER, "port": server_port}
    assert found.manifest.raw["service"] == service
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.n) == ("UDP", "udp", 5)


def test_of_one_conversation_the_end_that_was_asked_first_is_the_service(tmp_path: Path) -> None:
    _, found = imported(tmp_path, answered(0, CLIENTS[0], 40000))
    assert found.manifest.raw["service"]["vip"] == SERVER


def advertisement(
    at_s: float, sender: str, *, version: int, group: str | None, priority: int = 100
) -> tuple[int, bytes]:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.vrrp import VRRP, VRRPv3

    is_v6 = ":" in sender
    vips = ["fd00::2"] if is_v6 else ["192.168.10.2"]
    kind, interval = (VRRP, 1) if version == 2 else (VRRPv3, 100)
    body = kind(vrid=41, priority=priority, adv=interval, addrlist=vips)
    target = group or ("fd00::99" if is_v6 else "192.168.10.99")
    ip = (
        IPv6(src=sender, dst=target, hlim=255, nh=112)
        if is_v6
        else IP(src=sender, dst=target, ttl=255 if group else 63, proto=112)
    )
    ethertype = 0x86DD if is_v6 else 0x0800
    return BOOT_NS + round(at_s * NS), ethernet(bytes(ip / body), ethertype=ethertype)


@pytest.mark.parametrize(
    ("version", "senders", "group"),
    [
        (2, ("192.168.10.11", "192.168.10.12"), "224.0.0.18"),
        (2, ("192.168.10.11", "192.168.10.12"), None),
        (3, ("192.168.10.11", "192.168.10.12"), "224.0.0.18"),
        (3, ("192.168.10.11", "192.168.10.12"), None),
        (3, ("fd00::11", "fd00::12"), "ff02::12"),
    ],
)
def test_vrrp_alone_is_a_fail_over_seen(
    tmp_path: Path, version: int, senders: tuple[str, str], group: str | None
) -> None:
    old, new = senders
    packets = [
        advertisement(number, old, version=version, group=group, priority=150)
        for number in range(10)
    ]
    packets += [
        advertisement(12.61 + number, new, version=version, group=group) for number in range(10)
    ]
    doubts, found = imported(tmp_path, packets)
    assert "masters are reported" in doubts[0]
    assert found.failover is not None
    assert (found.failover.old_master, found.failover.new_master) == senders
    assert found.failover.how == "silence"
    assert found.failover.takeover_s == pytest.approx(12.61)
    assert found.timeline.zero_ns == BOOT_NS
    assert found.timeline.end_s == pytest.approx(21.61)
    vip = "fd00::2" if ":" in old else "192.168.10.2"
    assert found.verdict == (
        f"VRRP 41 ({vip}): {new} took over from {old} 12.6 s into the capture, 3.61 s after "
        "its last advertisement; nobody advertised for 3.6 s in all."
    )


def test_a_master_that_nobody_replaces_is_a_problem(tmp_path: Path) -> None:
    packets = [
        advertisement(at_s, "192.168.10.11", version=2, group="224.0.0.18")
        for at_s in (0, 1, 2, 60, 61)
    ]
    _, found = imported(tmp_path, packets)
    ids = {finding.id: finding.severity for finding in found.findings}
    assert ids["no-master"] == "problem"
    assert found.failover is not None
    (gap,) = found.failover.gaps
    assert (gap.from_s, gap.to_s, gap.due_s) == (2, 60, None)


def test_advertisements_from_afar_to_the_group_do_not_count(tmp_path: Path) -> None:
    from scapy.layers.inet import IP
    from scapy.layers.vrrp import VRRP

    forged = IP(src="203.0.113.5", dst="224.0.0.18", ttl=63, proto=112) / VRRP(
        vrid=41, priority=254, addrlist=["192.168.10.2"]
    )
    packets = [
        advertisement(number, "192.168.10.11", version=2, group="224.0.0.18") for number in range(5)
    ]
    _, found = imported(tmp_path, [*packets, (BOOT_NS + 3 * NS, ethernet(bytes(forged)))])
    assert found.failover is not None
    assert {one.director for one in found.failover.reigns} == {"192.168.10.11"}
