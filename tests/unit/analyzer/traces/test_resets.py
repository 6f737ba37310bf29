"""Who reset a connection, at which stage, and of which real server: as far as a capture tells."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from analyzer.recording.spill import spilled
from tests.unit.analyzer.builders_capture import (
    ACK,
    CLOSED,
    RST,
    SERVER_MACS,
    SYN,
    Hop,
    Net,
    capture,
    finding,
    imported,
)
from tests.unit.analyzer.builders_packets import arp, pcap

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Finding
    from tests.unit.analyzer.builders_capture import Link, Place, Step, Way

REFUSED: tuple[Step, ...] = ((0.0, ">", SYN), (0.001, "<", RST | ACK))
OPEN = CLOSED[:5]
RESET_BY_SERVER: tuple[Step, ...] = (*OPEN, (0.3, "<", RST))
RESET_BY_CLIENT: tuple[Step, ...] = (*OPEN, (0.3, ">", RST))
RESET_AFTER_FIN: tuple[Step, ...] = (*CLOSED[:6], (0.3, "<", RST))
N = 4


def hops(net: Net, steps: tuple[Step, ...], first: int = 40000) -> list[Hop]:
    return [hop for k in range(N) for hop in net.connection(first + k, 0.1 * k, steps)]


def served(net: Net) -> list[Hop]:
    """Connections that went well beside them: who answers is seen from those."""
    return hops(net, CLOSED, 50000)


def analysed(
    path: Path, net: Net, sent: list[Hop], place: Place, link: Link, **meta: object
) -> Analysis:
    text = json.dumps({"vip": net.vip, "port": net.vport} | meta)
    return imported(path, capture(sent, place, link, net), ("meta.json", text))


def refusal(found: Analysis) -> Finding:
    one = finding(found, "refused")
    assert one is not None
    assert one.severity == "problem"
    return one


@pytest.mark.parametrize("link", ["ethernet", "sll", "sll2", "raw"])
def test_in_nat_the_director_sees_which_real_server_refused(tmp_path: Path, link: Link) -> None:
    net = Net(way="nat", rport=8080)
    found = analysed(tmp_path, net, [*hops(net, REFUSED), *served(net)], "director", link)
    one = refusal(found)
    assert one.title == f"{N} connections were refused by a real server"
    for server in net.servers:
        assert f"{N // 2} by the real server {server}:8080, instead of an answer" in one.evidence
    assert "10 s in CLOSE" in one.evidence
    assert f"{N} of {2 * N} connections were refused by a real server" in found.verdict
    closed = finding(found, "reset-closes-early")
    assert closed is not None
    assert "no sign of a fault" not in closed.advice
    assert "198.51.100.9:40000 to 192.0.2.80:80" in one.evidence


def test_one_real_server_that_refuses_is_named_in_the_verdict(tmp_path: Path) -> None:
    net = Net(way="nat", servers=("10.9.0.21", "10.9.0.21"))
    found = analysed(tmp_path, net, hops(net, REFUSED), "director", "ethernet")
    verdict = f"{N} of {N} connections were refused by the real server 10.9.0.21:80"
    assert found.verdict.startswith(verdict)


def test_at_a_client_in_dr_a_refusal_shows_the_real_servers_mac(tmp_path: Path) -> None:
    net = Net()
    sent = [*hops(net, REFUSED), *served(net)]
    one = refusal(analysed(tmp_path, net, sent, "client", "ethernet"))
    assert f"{N // 2} by the real server MAC 02:00:00:00:00:11" in one.evidence
    assert "60 s in SYN_RECV" in one.evidence


def test_arp_names_the_real_server_that_refused(tmp_path: Path) -> None:
    net = Net()
    sent = [*hops(net, REFUSED), *served(net)]
    content = capture(sent, "client", "ethernet", net)
    arps = pcap((10**18, arp(mac, ip)) for mac, ip in zip(SERVER_MACS, net.servers, strict=True))
    found = imported(
        tmp_path, content + arps[24:], ("meta.json", json.dumps({"vip": net.vip, "port": 80}))
    )
    assert "by the real server 10.9.0.22:80, instead" in refusal(found).evidence


@pytest.mark.parametrize("link", ["ethernet", "sll2", "raw"])
def test_where_nothing_tells_who_refused_both_are_named(tmp_path: Path, link: Link) -> None:
    net = Net(way="nat")
    found = analysed(tmp_path, net, hops(net, REFUSED), "client", link)
    one = refusal(found)
    assert one.title == f"{N} connections were refused by a real server or the director"
    assert "the capture does not show which" in one.evidence
    assert "ipvsadm -Ln" in one.advice


@pytest.mark.parametrize("link", ["ethernet", "sll"])
def test_a_director_without_the_service_refuses_itself(tmp_path: Path, link: Link) -> None:
    net = Net(way="nat")
    own = [
        net.alone(hop, way, 40000 + k, k % 2)
        for k in range(N)
        for way, hop in (
            (">", Hop(0.1 * k, SYN, 77 + k, ("", 0), ("", 0), 0, 0)),
            ("<", Hop(0.1 * k + 0.001, RST | ACK, 0, ("", 0), ("", 0), 0, 0)),
        )
    ]
    one = refusal(analysed(tmp_path, net, [*own, *served(net)], "director", link))
    assert one.title == f"{N} connections were refused by the director itself"


@pytest.mark.parametrize(
    ("steps", "stage", "severity"),
    [
        (RESET_BY_SERVER, "while the connection was open", "warning"),
        (RESET_AFTER_FIN, "after a FIN", "info"),
    ],
)
@pytest.mark.parametrize(("way", "place"), [("nat", "director"), ("dr", "client")])
def test_a_reset_of_what_was_open_is_a_real_servers(
    tmp_path: Path, way: Way, place: Place, steps: tuple[Step, ...], stage: str, severity: str
) -> None:
    net = Net(way=way)
    found = analysed(tmp_path, net, [*hops(net, steps), *served(net)], place, "ethernet")
    one = finding(found, "reset-by-server")
    assert one is not None
    assert one.severity == severity
    assert one.title == f"{N} connections were reset by a real server"
    assert stage in one.evidence
    assert finding(found, "refused") is None


def test_a_clients_own_reset_is_no_fault_of_a_server(tmp_path: Path) -> None:
    net = Net(way="nat")
    found = analysed(tmp_path, net, hops(net, RESET_BY_CLIENT), "director", "ethernet")
    assert finding(found, "refused") is None
    assert finding(found, "reset-by-server") is None
    closed = finding(found, "reset-closes-early")
    assert closed is not None
    for server in net.servers:
        assert f"{N // 2} by the client (real server {server}:80)" in closed.evidence
    assert "while the connection was open" in closed.evidence
    assert "no sign of a fault" in closed.advice


def test_a_client_that_resets_what_answered_its_syn_was_not_refused(tmp_path: Path) -> None:
    """A port scan, or a health check: SYN, SYN-ACK, RST."""
    net = Net(way="nat")
    steps = (*CLOSED[:2], (0.01, ">", RST))
    found = analysed(tmp_path, net, hops(net, steps), "director", "ethernet")
    assert finding(found, "refused") is None


def test_each_connection_counts_once_and_by_its_first_reset(tmp_path: Path) -> None:
    net = Net(way="nat")
    steps = (*OPEN, (0.3, "<", RST), (0.31, ">", RST), (0.32, "<", RST))
    found = analysed(tmp_path, net, hops(net, steps), "director", "ethernet")
    one = finding(found, "reset-by-server")
    assert one is not None
    assert one.title.startswith(f"{N} connections")


def test_a_port_that_is_refused_and_then_served_is_two_connections(tmp_path: Path) -> None:
    net = Net(way="nat")
    later = [replace(hop, at_s=hop.at_s + 30, sequence=hop.sequence + 9) for hop in hops(net, OPEN)]
    found = analysed(tmp_path, net, [*hops(net, REFUSED), *later], "director", "ethernet")
    assert refusal(found).title.startswith(f"{N} connections")
    assert f"Of {2 * N} connections" in refusal(found).evidence


@pytest.mark.parametrize(("way", "place"), [("nat", "director"), ("dr", "client")])
def test_resets_are_the_same_in_any_parts(tmp_path: Path, way: Way, place: Place) -> None:
    net = Net(way=way)
    kinds = (REFUSED, RESET_BY_SERVER, RESET_BY_CLIENT, RESET_AFTER_FIN)
    sent = [
        hop for first, steps in enumerate(kinds) for hop in hops(net, steps, 40000 + 100 * first)
    ]
    whole = analysed(tmp_path, net, [*sent, *served(net)], place, "ethernet")
    recording = Recording.open(tmp_path / "run")
    with spilled(recording.path, part_rows=7) as store:
        parts = analyse(recording, store=store)
    assert parts.findings == whole.findings
    assert parts.verdict == whole.verdict
    kinds_found = {one.id for one in whole.findings}
    assert {"refused", "reset-by-server", "reset-closes-early"} <= kinds_found
