"""Every way of forwarding, over IPv4 and IPv6, before and after keepalived moves the VIP.

Three labs, each dual-stack, come up at once. In each a burst by ``loadgen burst`` goes over IPv4
and as many requests over IPv6, first with bal01 as master, then with bal02. What the directors'
tables must say is in ``docs/model.md``; what the packets must look like on a real server's port is
the definition of each way of forwarding.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.utils import rdpcap

from loadgen.lab.topology.layout import lay_out
from loadgen.lab.topology.model import address6, namespace, port_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scapy.packet import Packet

    from loadgen.lab.fixture import MakeLab
    from loadgen.lab.lab import Lab

REQUESTS = 20
FORWARDINGS = ("dr", "nat", "tun")
FAULTS = {"dr": "link-down", "nat": "crash", "tun": "keepalived-stop"}
"""How the master fails, a different way in each lab."""
END_STATE = {"dr": "FIN_WAIT", "tun": "FIN_WAIT", "nat": "TIME_WAIT"}
"""Of a connection that the client closes first (docs/model.md)."""
TAKE_OVER_LIMIT_S = 60.0
GET = """
import http.client, sys
for _ in range(int(sys.argv[2])):
    connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=20)
    connection.request("GET", "/")
    print(connection.getresponse().read().decode().strip())
    connection.close()
"""


@dataclass(frozen=True)
class Seen:
    """What one director's table held, and what a real server's port saw, after the requests."""

    burst: dict[str, object]
    answers: Counter[str]  # over IPv6: who answered, how often
    entries: list[list[str]]  # the words of each line of ip_vs_conn
    packets: list[Packet]

    def states(self, *, ipv6: bool) -> Counter[tuple[str, str]]:
        """(real server, state) of the entries of one family."""
        return Counter((line[5], line[7]) for line in self.entries if (":" in line[1]) == ipv6)


@dataclass(frozen=True)
class Passed:
    """A lab that went through it all."""

    lab: Lab
    before: Seen
    after: Seen


@pytest.fixture(scope="module")
def passed(
    make_ipvs_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Passed]]:
    """The three labs, all at once."""
    directory = tmp_path_factory.mktemp("matrix")
    with ThreadPoolExecutor(len(FORWARDINGS)) as pool:
        labs = list(
            pool.map(make_ipvs_lab, [lay_out(forwarding=f, ipv6=True) for f in FORWARDINGS])
        )
        rows = list(pool.map(lambda lab: go_through(lab, directory), labs))
    yield dict(zip(FORWARDINGS, rows, strict=True))
    for lab in labs:
        lab.down()


def go_through(lab: Lab, directory: Path) -> Passed:
    forwarding = lab.topology.forwarding
    before = send_and_look(lab, "bal01", directory / f"{forwarding}-before")
    lab.directors["bal01"].fault(FAULTS[forwarding])
    wait_until(lambda: lab.directors["bal02"].holds(lab.topology.vip))
    wait_until(lambda: answers_over(lab, lab.topology.vips[0].address6))
    forget(lab, "bal02")
    return Passed(lab, before, send_and_look(lab, "bal02", directory / f"{forwarding}-after"))


KNOB = "/proc/sys/net/ipv4/vs/expire_nodest_conn"


def forget(lab: Lab, director: str) -> None:
    """Delete the entries that the wait itself made: they go with their servers, a moment later."""
    host = lab.directors[director]
    host.run("sh", "-c", f"echo 1 >{KNOB}; ipvsadm -C")
    wait_until(lambda: not host.entries().splitlines()[1:])
    host.run("sh", "-c", f"echo 0 >{KNOB}; ipvsadm -R </run/lab/ipvs.rules")


def send_and_look(lab: Lab, master: str, directory: Path) -> Seen:
    with captured(lab, port_name("srv01"), directory.with_suffix(".pcap")) as packets:
        burst = run_burst(lab, directory)
        argv = [sys.executable, "-I", "-S", "-c", GET, lab.topology.vips[0].address6, str(REQUESTS)]
        answers = Counter(lab.client.output(*argv).split())
        lines = lab.directors[master].entries().splitlines()[1:]
    return Seen(burst, answers, [line.split() for line in lines], packets)


def run_burst(lab: Lab, directory: Path) -> dict[str, object]:
    argv = [str(Path(sys.executable).parent / "loadgen"), "burst", "--vip", lab.topology.vip]
    flags = [
        "-n",
        str(REQUESTS),
        "--lab",
        lab.name,
        "--observe",
        "1",
        "--json",
        "-o",
        str(directory),
    ]
    alive = [name for name in lab.director_names if name not in lab.state.crashed]
    alive = [name for name in alive if name == "bal02" or not lab.events()]
    directors = [word for name in alive for word in ("--director", name)]
    done = subprocess.run(
        [*argv, *flags, *directors], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


@contextmanager
def captured(lab: Lab, port: str, path: Path) -> Iterator[list[Packet]]:
    """TCP packets, tunnelled or not, of a port of the bridge; the list is filled at the end."""
    packets: list[Packet] = []
    inside = ["ip", "netns", "exec", namespace(lab.name, "hub")]
    tcpdump = ["tcpdump", "--immediate-mode", "-Z", "root", "-U", "-s", "200", "-i", port]
    only = "not port 22 and not icmp6 and (ip or ip6)"
    process = subprocess.Popen(
        [*inside, *tcpdump, "-w", str(path), only], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process:
        assert any("listening on" in line for line in process.stderr)
        try:
            yield packets
            time.sleep(0.2)
        finally:
            process.terminate()
    packets += [packet for packet in rdpcap(str(path)) if TCP in packet]


def answers_over(lab: Lab, address: str) -> bool:
    argv = [sys.executable, "-I", "-S", "-c", GET, address, "1"]
    return lab.client.run(*argv, check=False).returncode == 0


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + TAKE_OVER_LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


WHEN = pytest.mark.parametrize("when", ["before", "after"])
FORWARDING = pytest.mark.parametrize("forwarding", FORWARDINGS)


@FORWARDING
@WHEN
def test_the_burst_succeeds(passed: dict[str, Passed], forwarding: str, when: str) -> None:
    seen = getattr(passed[forwarding], when)
    requests = seen.burst["requests"]
    assert (requests["sent"], requests["succeeded"]) == (REQUESTS, REQUESTS)
    assert seen.answers == {"srv01": REQUESTS // 2, "srv02": REQUESTS // 2}


@FORWARDING
@WHEN
@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_the_entries_sit_in_the_state_of_their_way_of_forwarding(
    passed: dict[str, Passed], forwarding: str, when: str, ipv6: bool
) -> None:
    seen: Seen = getattr(passed[forwarding], when)
    servers = passed[forwarding].lab.topology.servers
    addresses = [kernel_text6(s.address6) if ipv6 else kernel_text(s.address) for s in servers]
    expected = {(address, END_STATE[forwarding]): REQUESTS // 2 for address in addresses}
    assert seen.states(ipv6=ipv6) == expected


@WHEN
@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_in_dr_only_the_mac_address_changes_and_replies_go_straight_to_the_client(
    passed: dict[str, Passed], when: str, ipv6: bool
) -> None:
    lab, client, vip, master = parties(passed["dr"], when, ipv6)
    requests, replies = both_ways(getattr(passed["dr"], when), vip, ipv6)
    assert {ends(packet) for packet in requests} == {(client, vip)}
    assert {(p.src, p.dst) for p in requests} == {(master, mac(lab, "srv01"))}
    assert {ends(packet) for packet in replies} == {(vip, client)}
    assert {(p.src, p.dst) for p in replies} == {(mac(lab, "srv01"), mac(lab, "client"))}


@WHEN
@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_in_nat_the_server_sees_its_own_address_and_replies_by_way_of_the_director(
    passed: dict[str, Passed], when: str, ipv6: bool
) -> None:
    lab, client, _vip, master = parties(passed["nat"], when, ipv6)
    host = lab.topology.host("srv01")
    server = host.address6 if ipv6 else host.address
    requests, replies = both_ways(getattr(passed["nat"], when), server, ipv6)
    assert {ends(packet) for packet in requests} == {(client, server)}
    assert {ends(packet) for packet in replies} == {(server, client)}
    assert {p.src for p in requests} == {p.dst for p in replies} == {master}


@WHEN
@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_in_tun_the_request_comes_in_a_packet_from_director_to_server(
    passed: dict[str, Passed], when: str, ipv6: bool
) -> None:
    lab, client, vip, _master = parties(passed["tun"], when, ipv6)
    director = lab.topology.host("bal01" if when == "before" else "bal02")
    server = lab.topology.host("srv01")
    outer = (director.address6, server.address6) if ipv6 else (director.address, server.address)
    requests, replies = both_ways(getattr(passed["tun"], when), vip, ipv6)
    assert {ends(packet, layer=2) for packet in requests} == {(client, vip)}
    assert {ends(packet) for packet in requests} == {outer}
    assert {ends(packet) for packet in replies} == {(vip, client)}
    assert {p.dst for p in replies} == {mac(lab, "client")}


def parties(passed: Passed, when: str, ipv6: bool) -> tuple[Lab, str, str, str]:
    """The lab, the client's and the VIP's address, the master's MAC."""
    lab = passed.lab
    client, vip = lab.topology.client.address, lab.topology.vip
    if ipv6:
        client, vip = address6(client), address6(vip)
    return lab, client, vip, mac(lab, "bal01" if when == "before" else "bal02")


def both_ways(seen: Seen, server_side: str, ipv6: bool) -> tuple[list[Packet], list[Packet]]:
    """Requests to and replies from an address, of one family."""
    kind = IPv6 if ipv6 else IP
    mine = [packet for packet in seen.packets if kind in packet]
    replies = [packet for packet in mine if packet[kind].src == server_side]
    requests = [packet for packet in mine if packet[kind].src != server_side]
    assert len(requests) > REQUESTS
    assert len(replies) > REQUESTS
    return requests, replies


def ends(packet: Packet, layer: int = 1) -> tuple[str, str]:
    """Source and destination of the outer (1) or inner (2) IP header."""
    kind = IPv6 if IPv6 in packet else IP
    found = packet.getlayer(kind, layer)
    assert found is not None
    return found.src, found.dst


def mac(lab: Lab, name: str) -> str:
    return lab.topology.host(name).mac


def kernel_text(address: str) -> str:
    return "".join(f"{int(octet):02X}" for octet in address.split("."))


def kernel_text6(address: str) -> str:
    from ipaddress import IPv6Address

    return IPv6Address(address).exploded
