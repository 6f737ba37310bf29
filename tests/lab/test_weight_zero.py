"""Weight 0 under expire_nodest_conn, and client ports that come back, on a real kernel.

A SYN that hits an entry of a real server of weight 0 ends it, whatever its state, and is scheduled
afresh; where no real server has a weight, it makes none (docs/model.md). What the director was seen
to hold must be what the packets predict, entry by entry.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.lab.faults.changes import set_weight
from loadgen.lab.lab import Lab
from loadgen.lab.topology.layout import HostCounts, lay_out
from tests.lab.delays import Delays, measured_delays
from tests.lab.expiries import assert_expiries_predicted

pytestmark = pytest.mark.alone

LOADGEN = Path(sys.executable).parent / "loadgen"
FORWARDINGS = ("dr", "nat")
TCPFIN_S = 6
CLOSED, LEFT_OPEN, REFUSED, BACK = 12, 4, 3, 3
WATCH_S = 26
LIMIT_S = 120
CONNECT = """
import socket, sys
vip, how, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
TCP_REPAIR = 19  # a socket that is closed under it sends nothing
for port in range(first, first + count):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.settimeout(20)  # a machine that stops for seconds is no refusal
    client.bind(("", port))
    try:
        client.connect((vip, 80))
        client.sendall(b"GET / HTTP/1.1\\r\\nHost: lab\\r\\n\\r\\n")
    except ConnectionRefusedError:  # seen once of sendall: the refusal came late
        print("refused")
        continue
    print(client.recv(4096).split()[-1].decode())
    if how == "vanish":
        client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    else:
        client.shutdown(socket.SHUT_WR)
        client.recv(4096)
    client.close()
"""


@dataclass(frozen=True)
class Ran:
    """A watch's analysis, and who answered each round of connections."""

    document: Any
    directory: Path
    answers: dict[str, Counter[str]]
    delays: Delays


@pytest.fixture(scope="module")
def ran(lab_prefix: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The same in two labs at once."""
    folder = tmp_path_factory.mktemp("weight")

    def through(forwarding: str) -> Ran:
        layout = lay_out(
            HostCounts(directors=1, servers=2),
            forwarding=forwarding,
            vip_by="static",
            timeouts=Timeouts(tcpfin_s=TCPFIN_S),
        )
        with Lab(layout, name=f"{lab_prefix}-w0{forwarding}") as lab:
            return watched(lab, folder / forwarding)

    with ThreadPoolExecutor(len(FORWARDINGS)) as pool:
        return dict(zip(FORWARDINGS, pool.map(through, FORWARDINGS), strict=True))


def watched(lab: Lab, directory: Path) -> Ran:
    """Connections under every weight, while the director is watched."""
    knob = "/proc/sys/net/ipv4/vs/expire_nodest_conn"
    lab.directors["bal01"].run("sh", "-c", f"echo 1 >{knob}")
    words = ["--lab", lab.name, "-z", str(WATCH_S), "--capture", "--json"]
    with (
        measured_delays(lab, "bal01") as delays,
        subprocess.Popen(
            [LOADGEN, "collect", *words, "--director-cpu", "50%", "-o", directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        wait_for_capture(directory)
        answers = rounds(lab)
        output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    return Ran(json.loads(output), directory, answers, delays)


def wait_for_capture(directory: Path) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not (directory / "capture.pcap").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    time.sleep(1)  # until it and the polls run


def rounds(lab: Lab) -> dict[str, Counter[str]]:
    """Weights 1 1, then 0 1, then 0 0, then 1 0."""

    def connect(how: str, first: int, count: int) -> Counter[str]:
        command = [sys.executable, "-I", "-S", "-c", CONNECT, lab.topology.vip, how]
        said = lab.client.output(*command, str(first), str(count))
        time.sleep(0.7)  # a few polls
        return Counter(said.split())

    answers = {"both": connect("close", 31000, CLOSED) + connect("vanish", 31100, LEFT_OPEN)}
    set_weight(lab, "srv01", 0)
    time.sleep(0.7)
    answers["one"] = connect("close", 31000, CLOSED) + connect("close", 31100, LEFT_OPEN)
    set_weight(lab, "srv02", 0)
    time.sleep(0.7)
    answers["none"] = connect("close", 31000, REFUSED)
    set_weight(lab, "srv01", 1)
    time.sleep(0.7)
    answers["other"] = connect("close", 31000 + REFUSED, BACK)
    return answers


@pytest.mark.parametrize("forwarding", FORWARDINGS)
def test_who_answers_is_who_has_a_weight(forwarding: str, ran: dict[str, Ran]) -> None:
    """Also where the port's entry of before, closed or open, points at the other one."""
    half = (CLOSED + LEFT_OPEN) // 2
    assert ran[forwarding].answers == {
        "both": {"srv01": half, "srv02": half},
        "one": {"srv02": 2 * half},
        "none": {"refused": REFUSED},
        "other": {"srv01": BACK},
    }


@pytest.mark.parametrize("forwarding", FORWARDINGS)
def test_the_entries_seen_are_the_ones_predicted(forwarding: str, ran: dict[str, Ran]) -> None:
    """One for each connection that was accepted, but for those that a port's entry took over.

    In dr the ports whose entry, in FIN_WAIT, points at srv02 go on with it while srv02 has a weight
    (conn_reuse_mode 1); in nat they are in TIME_WAIT, and rescheduled. The SYN to a connection that
    srv02 still has open resets that one first, and its repetition makes a new entry.
    """
    (row,) = ran[forwarding].document["agreement"]
    taken_over = CLOSED // 2 if forwarding == "dr" else 0
    accepted = 2 * (CLOSED + LEFT_OPEN) + BACK
    assert row["entries_predicted"] == accepted - taken_over
    assert row["entries_observed"] == row["entries_predicted"]
    assert row["state_matches"] == row["state_samples"] > 100


@pytest.mark.parametrize("forwarding", FORWARDINGS)
def test_the_curves_are_those_predicted(forwarding: str, ran: dict[str, Ran]) -> None:
    (row,) = ran[forwarding].document["agreement"]
    assert (row["active_max_error"], row["inactive_max_error"]) == (0, 0)
    found = {finding["id"] for finding in ran[forwarding].document["findings"]}
    assert "prediction-differs" not in found
    assert "foreign-entries" not in found


def test_every_expiry_is_predicted(ran: dict[str, Ran]) -> None:
    (row,) = ran["dr"].document["agreement"]
    assert set(row["residuals"]) <= {"poll", "clock"}
    (group,) = ran["dr"].document["lifetimes"]
    assert (group["state"], group["timeout_s"]) == ("FIN_WAIT", TCPFIN_S)
    assert_expiries_predicted(
        ran["dr"].directory, "bal01", ran["dr"].delays, n=group["n_expired"], limit_s=0.1
    )


@pytest.mark.parametrize("forwarding", FORWARDINGS)
def test_the_entries_that_ended_for_it_are_counted(forwarding: str, ran: dict[str, Ran]) -> None:
    rows = ran[forwarding].document["ended_early"]
    ended = {(row["state"], row["cause"]): row["n"] for row in rows}
    closed = "FIN_WAIT" if forwarding == "dr" else "TIME_WAIT"
    assert ended[closed, "expire-nodest-conn"] == CLOSED // 2 + REFUSED + BACK
    assert ended["ESTABLISHED", "expire-nodest-conn"] == LEFT_OPEN // 2
