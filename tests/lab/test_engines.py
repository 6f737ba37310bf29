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
from analyzer.recording import Recording
from analyzer.wire.connections import connections
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import VirtualEnd, service_segments
from loadgen.engines.abilities import ABILITIES
from loadgen.lab.lab import Lab
from loadgen.lab.topology import exercise

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from analyzer.lives import Close
    from loadgen.plan import EngineName

LOADGEN = Path(sys.executable).parent / "loadgen"
VIP = "192.168.10.2"
EACH = 10
"""Connections of every way of closing that an engine has."""
UDP_PORT, DATAGRAMS = 7, 60
LIMIT_S = 120
ENDS_IN: dict[Close, str] = {
    "client": "FIN_WAIT",
    "server": "FIN_WAIT",
    "half": "FIN_WAIT",
    "reset": "CLOSE",
    "never": "ESTABLISHED",
    "abandon": "ESTABLISHED",
    "half-open": "SYN_RECV",
    "silent": "ESTABLISHED",
    "fin-no-ack": "FIN_WAIT",
    "reset-syn": "SYN_RECV",
    "reset-open": "CLOSE",
    "reset-answer": "CLOSE",
    "reset-fin": "CLOSE",
}
"""In dr, where the director sees the client's packets alone."""

OWN = {"packets": ["--local-ips", "192.168.10.200", "--observe", "12s"]}
"""An address that no host of the lab has, for the engine that sends from such, and no wait for the
minute that SYN_RECV lasts."""

ENGINES: tuple[EngineName, ...] = ("http", "sockets", "packets")
CASES = [(engine, kind) for engine in ENGINES for kind in ENDS_IN]


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
        segments = service_segments(packets, [VirtualEnd("TCP", VIP, 80)])
        rows = connections(segments)
        ports = segments.flows.loc[rows["flow"], "client_port"]
        return dict(zip(ports, rows["closer"], strict=True))


@pytest.fixture(scope="module")
def ran(lab_prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    """The engines, one after the other, and datagrams meanwhile, in a lab that forgets soon."""
    timeouts = Timeouts(tcp_s=4, tcpfin_s=3, udp_s=3)
    topology = replace(exercise(timeouts), udp_port=UDP_PORT)
    datagrams = ["--udp", "--port", str(UDP_PORT), "-n", str(DATAGRAMS)]
    with Lab(topology, name=f"{lab_prefix}-close") as lab, ThreadPoolExecutor(1) as aside:
        folder = tmp_path_factory.mktemp("engines")
        meanwhile = aside.submit(burst, lab, datagrams, folder / "datagrams")
        found = {engine: burst(lab, flags(engine), folder / engine) for engine in ENGINES}
        yield {**found, "datagrams": meanwhile.result()}


def flags(engine: EngineName) -> list[str]:
    """As much of every way of closing that an engine has."""
    mix = ",".join(f"{kind}=1" for kind in sorted(ABILITIES[engine].closes))
    mine = ["--engine", engine, "-n", str(requests_of(engine)), "--close", mix, "--tcp-info"]
    return mine + OWN.get(engine, [])


def requests_of(engine: EngineName) -> int:
    return EACH * len(ABILITIES[engine].closes)


def burst(lab: Lab, flags: list[str], directory: Path) -> Ran:
    done = subprocess.run(
        [
            *(LOADGEN, "burst", "--vip", VIP, "--lab", lab.name, "-c", "6"),
            *("--json", "-o", str(directory), *flags),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return Ran(json.loads(done.stdout), Recording.open(directory))


@pytest.mark.parametrize(("engine", "kind"), CASES)
def test_the_entry_ends_where_the_kernels_tables_say(
    engine: EngineName, kind: Close, ran: dict[str, Ran]
) -> None:
    rows = ran[engine].requests(kind)
    if kind not in ABILITIES[engine].closes:
        assert rows.empty
        return
    assert len(rows) > 5
    states = ran[engine].last_states()
    assert {states[port] for port in rows["source_port"]} == {ENDS_IN[kind]}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_directors_entries_are_the_ones_that_the_packets_predict(
    engine: EngineName, ran: dict[str, Ran]
) -> None:
    (master,) = [row for row in ran[engine].document["agreement"] if row["director"] == "bal01"]
    requests = requests_of(engine)
    assert master["entries_predicted"] == master["entries_observed"] == requests
    assert master["state_matches"] == master["state_samples"] > requests


@pytest.mark.parametrize("engine", ENGINES)
def test_who_closed_first_is_who_sent_the_first_fin(
    engine: EngineName, ran: dict[str, Ran]
) -> None:
    """What was left open saw no FIN while the burst lasted."""
    wire = ran[engine].wire()
    for kind in ABILITIES[engine].closes - {"never", "abandon", "half-open", "silent"}:
        rows = ran[engine].requests(kind)
        noted = dict(zip(rows["source_port"], rows["closer"], strict=True))
        assert noted == {port: wire[port] for port in noted}, kind


@pytest.mark.parametrize("engine", ENGINES)
def test_each_connection_is_a_row_with_all_that_is_known_of_it(
    engine: EngineName, ran: dict[str, Ran]
) -> None:
    rows = ran[engine].recording.table("requests")
    assert sorted(rows["id"]) == list(range(requests_of(engine)))
    assert rows["error"].isna().all()
    assert (rows["rtt_us"] > 0).all()
    assert rows[rows["close"] != "never"]["closed"].notna().all()


def test_each_datagram_makes_an_entry_that_the_udp_timeout_governs(ran: dict[str, Ran]) -> None:
    shown = ran["datagrams"]
    assert set(shown.last_states().values()) == {"UDP"}
    assert len(shown.last_states()) == DATAGRAMS
    (row,) = shown.document["lifetimes"]
    assert (row["timeout_name"], row["timeout_s"], row["n_expired"]) == ("udp", 3, DATAGRAMS)
