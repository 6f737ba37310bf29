"""Every engine and way of closing on real kernels: the entry ends where the kernel's tables say."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Timeouts
from analyzer.recording.directory import Recording
from analyzer.wire.connections import connections
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import VirtualEnd, dealt_out
from loadgen.lab.lab import Lab
from loadgen.lab.topology.layout import HostCounts, lay_out
from loadgen.lab.topology.model import exercise
from loadgen.load.engines.abilities import ABILITIES

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.forecast.closings import Close
    from loadgen.load.plan import EngineName

LOADGEN = Path(sys.executable).parent / "loadgen"
VIP, VIP6 = "192.168.10.2", "fd00:10::2"
EACH = 10
"""Connections of every way of closing that an engine has."""
UDP_PORT, DATAGRAMS = 7, 60
LIMIT_S = 120
ENDS_IN: dict[Close, tuple[str, str]] = {
    "client": ("FIN_WAIT", "TIME_WAIT"),
    "server": ("FIN_WAIT", "TIME_WAIT"),
    "half": ("FIN_WAIT", "TIME_WAIT"),
    "reset": ("CLOSE", "CLOSE"),
    "never": ("ESTABLISHED", "ESTABLISHED"),
    "abandon": ("ESTABLISHED", "ESTABLISHED"),
    "half-open": ("SYN_RECV", "SYN_RECV"),
    "silent": ("ESTABLISHED", "ESTABLISHED"),
    "fin-no-ack": ("FIN_WAIT", "TIME_WAIT"),
    "reset-syn": ("SYN_RECV", "SYN_RECV"),
    "reset-open": ("CLOSE", "CLOSE"),
    "reset-answer": ("CLOSE", "CLOSE"),
    "reset-fin": ("CLOSE", "CLOSE"),
}
"""In dr, where the director sees the client's packets alone, and in nat, where it sees all."""

ENGINES: tuple[EngineName, ...] = ("http", "sockets", "packets")
OWN = {"dr": "192.168.10.200", "nat": "192.168.10.200", "dr6": "fd00:10::200"}
"""An address that no host of the lab has, for the engine that sends from such."""

FORWARDINGS = ("dr", "nat")
RUNS: list[tuple[str, EngineName]] = [
    *((forwarding, engine) for forwarding in FORWARDINGS for engine in ENGINES),
    ("dr6", "packets"),
]
"""The lab, over IPv6 if so named, and the engine."""

CASES = [(*run, kind) for run in RUNS for kind in ENDS_IN if kind in ABILITIES[run[1]].closes]


@dataclass(frozen=True)
class Ran:
    """A burst: of every way of closing that an engine has, or of datagrams."""

    document: Any
    recording: Recording

    def requests(self, kind: Close) -> pd.DataFrame:
        rows = self.recording.table("requests")
        return rows[rows["close"] == kind]

    def last_states(self) -> dict[int, str]:
        """By source port: the state that the director's entry was last seen in."""
        entries = self.recording.table("entries")
        held = entries[(entries["change"] != "gone") & (entries["director"] == "bal01")]
        return dict(zip(held["client_port"], held["state"], strict=True))

    def wire(self) -> dict[int, str]:
        """By source port: who closed first, in the captured packets."""
        packets = read_packets(*self.recording.captures().values())
        segments = dealt_out(
            packets, [VirtualEnd("TCP", vip, 80) for vip in (VIP, VIP6)]
        ).segments()
        rows = connections(segments)
        ports = segments.flows.loc[rows["flow"], "client_port"]
        return dict(zip(ports, rows["closer"], strict=True))


Runs = dict[tuple[str, str], Ran]


@pytest.fixture(scope="module")
def ran(lab_prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """In each of two labs whose entries expire soon the engines, one after the other."""
    timeouts = Timeouts(tcp_s=4, tcpfin_s=3, udp_s=3)
    one = HostCounts(directors=1, servers=1)
    labs = {
        "dr": replace(exercise(timeouts), udp_port=UDP_PORT, ipv6=True),
        "nat": lay_out(one, forwarding="nat", vip_by="static", timeouts=timeouts),
    }
    folder = tmp_path_factory.mktemp("engines")

    def in_lab(forwarding: str) -> Runs:
        with Lab(labs[forwarding], name=f"{lab_prefix}-{forwarding}") as lab:
            return in_turn(lab, forwarding, folder)

    with ThreadPoolExecutor(len(labs)) as pool:
        dr, nat = pool.map(in_lab, FORWARDINGS)
    return dr | nat


def in_turn(lab: Lab, forwarding: str, folder: Path) -> Runs:
    """The engines, and datagrams meanwhile where the lab has a service for them."""
    with ThreadPoolExecutor(1) as aside:
        if forwarding == "dr":
            datagrams = ["--vip", VIP, "--udp", "--port", str(UDP_PORT), "-n", str(DATAGRAMS)]
            meanwhile = aside.submit(burst, lab, datagrams, folder / "datagrams")
        runs = [run for run in RUNS if run[0].removesuffix("6") == forwarding]
        found = {}
        for number, run in enumerate(runs):
            own_ports(lab, number)
            found[run] = burst(lab, flags(*run), folder / "-".join(run))
        return found | ({(forwarding, "udp"): meanwhile.result()} if forwarding == "dr" else {})


def own_ports(lab: Lab, number: int) -> None:
    """Ports that no run before had: the server still holds what was left open on those."""
    first = 20_000 + 5_000 * number
    lab.client.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range={first} {first + 4_999}")


def flags(through: str, engine: EngineName) -> list[str]:
    """As much of every way of closing that an engine has; no wait for what lasts a minute."""
    mix = ",".join(f"{kind}=1" for kind in sorted(ABILITIES[engine].closes))
    options = ["--engine", engine, "-n", str(requests_of(engine)), "--close", mix, "--tcp-info"]
    own = ["--local-ips", OWN[through]] if engine == "packets" else []
    return ["--vip", VIP6 if through == "dr6" else VIP, *options, "--observe", "6s", *own]


def requests_of(engine: EngineName) -> int:
    return EACH * len(ABILITIES[engine].closes)


def burst(lab: Lab, flags: list[str], directory: Path) -> Ran:
    done = subprocess.run(
        [
            *(LOADGEN, "burst", "--lab", lab.name, "-c", "6"),
            *("--json", "-o", str(directory), "--director-cpu", "50%", *flags),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return Ran(json.loads(done.stdout), Recording.open(directory))


@pytest.mark.parametrize(("forwarding", "engine", "kind"), CASES)
def test_the_entry_ends_where_the_kernels_tables_say(
    forwarding: str, engine: EngineName, kind: Close, ran: Runs
) -> None:
    rows = ran[forwarding, engine].requests(kind)
    assert len(rows) > 5
    states = ran[forwarding, engine].last_states()
    assert {states[port] for port in rows["source_port"]} == {ENDS_IN[kind][forwarding == "nat"]}


@pytest.mark.parametrize(("forwarding", "engine"), RUNS)
def test_the_directors_entries_are_the_ones_that_the_packets_predict(
    forwarding: str, engine: EngineName, ran: Runs
) -> None:
    shown = ran[forwarding, engine].document["agreement"]
    (master,) = [row for row in shown if row["director"] == "bal01"]
    requests = requests_of(engine)
    assert master["entries_predicted"] == master["entries_observed"] == requests
    assert master["state_matches"] == master["state_samples"] > requests


@pytest.mark.parametrize(("forwarding", "engine"), RUNS)
def test_who_closed_first_is_who_sent_the_first_fin(
    forwarding: str, engine: EngineName, ran: Runs
) -> None:
    """What was left open saw no FIN while the burst lasted."""
    wire = ran[forwarding, engine].wire()
    for kind in ABILITIES[engine].closes - {"never", "abandon", "half-open", "silent"}:
        rows = ran[forwarding, engine].requests(kind)
        noted = dict(zip(rows["source_port"], rows["closer"], strict=True))
        assert noted == {port: wire[port] for port in noted}, kind


@pytest.mark.parametrize(("forwarding", "engine"), RUNS)
def test_each_connection_is_a_row_with_all_that_is_known_of_it(
    forwarding: str, engine: EngineName, ran: Runs
) -> None:
    rows = ran[forwarding, engine].recording.table("requests")
    assert sorted(rows["id"]) == list(range(requests_of(engine)))
    assert rows["error"].isna().all()
    assert (rows["rtt_us"] > 0).all()
    assert rows[rows["close"] != "never"]["closed"].notna().all()


def test_each_datagram_makes_an_entry_that_the_udp_timeout_governs(ran: Runs) -> None:
    shown = ran["dr", "udp"]
    assert set(shown.last_states().values()) == {"UDP"}
    sent = shown.recording.table("requests")
    ports = set(sent["source_port"])  # two of sixty datagrams may have had the same one
    assert len(sent) == DATAGRAMS
    assert set(shown.last_states()) == ports
    (row,) = shown.document["lifetimes"]
    assert (row["timeout_name"], row["timeout_s"], row["n_expired"]) == ("udp", 3, len(ports))
