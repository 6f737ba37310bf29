"""Every kernel that the lab boots, in dr, nat and tun, beside what the packets predict.

A row for each: states right of those polled, the worst expiry, the curves' errors, findings
that would be false, and lines that reads of the table missed or gave twice. ``LG_KERNELS`` chooses
the kernels, ``LG_RUNS`` the runs (names with commas), ``LG_LABS`` how many labs at a time (one: an
expiry is right to 0.15 s on an idle machine).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.states import Timeouts
from analyzer.recording.directory import Recording
from loadgen.lab.faults.changes import set_weight
from loadgen.lab.lab import Lab
from loadgen.lab.topology.layout import HostCounts, lay_out, with_kernel_image

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

LOADGEN = Path(sys.executable).parent / "loadgen"
KERNELS = os.environ.get("LG_KERNELS", "5.10 6.1 6.12 7.2").split()
LABS = int(os.environ.get("LG_LABS", "1"))
CHOSEN = os.environ.get("LG_RUNS", "").split(",")
FORWARDINGS = ("dr", "nat", "tun")
LIMIT_S = 240
TCPFIN_S, OTHER_S = 8, 4
UDP_PORT = 7
OWN = "192.168.10.200"
"""An address that no host of the lab has, for the engine that sends from such."""
RIGHT_S = 0.15
"""Between an expiry predicted and seen, on an idle machine."""
FALSE = {
    "prediction-differs",
    "foreign-entries",
    "table-memory",
    "forwarding-differs",
    "timeouts-contradicted",
    "packet-after-expiry",
}
CAUSES = {"port-reuse", "expire-nodest-conn", "server-removed"}
MIX = "client=1,server=1,half=1,reset=1"
HEADINGS = "kernel, forwarding, run", "states", "entries", "worst s", "curve missed twice resizing"
TITLE = "{:27} {:>11} {:>9} {:>7} {}".format(*HEADINGS)
KNOB = "/proc/sys/net/ipv4/vs/expire_nodest_conn"


@dataclass(frozen=True)
class Row:
    """What one run showed of the director.

    Attributes:
        matches, samples: states that were right, of those polled.
        predicted, observed: entries.
        worst_s: the expiry that is furthest off.
        curve: by how many entries ActiveConn or InActConn is off at the worst poll; 0 for none.
        false: findings that nothing here is the cause of.
        missed, twice: lines of ip_vs_conn, over all reads, beside the counters of the same poll.
        resizing: reads that came while the table was being resized.
    """

    matches: int
    samples: int
    predicted: int
    observed: int
    worst_s: float | None
    curve: int
    false: tuple[str, ...]
    missed: int
    twice: int
    resizing: int

    @property
    def is_right(self) -> bool:
        """As the packets predict it, in every entry and state."""
        return (
            self.matches == self.samples > 0
            and self.predicted == self.observed
            and not self.false
            and (self.worst_s or 0) < RIGHT_S * LABS
        )


def run(lab: Lab, directory: Path, *words: str, meanwhile: Callable[[Lab], None]) -> Row:
    argv = [LOADGEN, *words, "--lab", lab.name, "--json", "--director-cpu", "50%"]
    with subprocess.Popen(
        [*map(str, argv), "-o", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        meanwhile(lab)
        output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    return row_of(json.loads(output), Recording.open(directory))


def row_of(document: Any, recording: Recording) -> Row:
    (shown,) = document["agreement"]
    missed, twice = lines_off(recording)
    return Row(
        matches=shown["state_matches"],
        samples=shown["state_samples"],
        predicted=shown["entries_predicted"],
        observed=shown["entries_observed"],
        worst_s=shown["worst_expiry_error_s"],
        curve=max(shown["active_max_error"] or 0, shown["inactive_max_error"] or 0),
        false=(
            *sorted({one["id"] for one in document["findings"]} & FALSE),
            *unknown_ends(document),
        ),
        missed=missed,
        twice=twice,
        resizing=int((recording.table("polls")["what"] == "resizing").sum()),
    )


def unknown_ends(document: Any) -> list[str]:
    """Causes of early ends that nothing here brings about."""
    return sorted({one["cause"] for one in document["ended_early"]} - CAUSES)


def lines_off(recording: Recording) -> tuple[int, int]:
    """Lines that reads lacked, and gave too many, by ActiveConn and InActConn of the same poll."""
    services = recording.table("services")
    counted = (services["active"] + services["inactive"]).groupby(services["at"]).sum()
    polls = recording.table("polls").dropna(subset=["entries"]).set_index("at")
    off = (polls["entries"] - counted.reindex(polls.index)).dropna().astype(int)
    return int(-off.clip(upper=0).sum()), int(off.clip(lower=0).sum())


def nothing(lab: Lab) -> None:
    """Leave the director as it is."""


def set_midway(lab: Lab) -> None:
    """As an administrator would: another tcpfin, and the first again."""
    for value_s in (OTHER_S, TCPFIN_S):
        time.sleep(5)
        lab.directors["bal01"].run("ipvsadm", "--set", "0", str(value_s), "0")


def remove_and_add(lab: Lab) -> None:
    """A real server out of the service for some seconds."""
    server = "192.168.20.21" if lab.topology.forwarding == "nat" else "192.168.10.21"
    service = ("-t", f"{lab.topology.vip}:80", "-r", f"{server}:80")
    way = {"dr": "-g", "nat": "-m", "tun": "-i"}[lab.topology.forwarding]
    time.sleep(5)
    lab.directors["bal01"].run("ipvsadm", "-d", *service)
    time.sleep(3)
    lab.directors["bal01"].run("ipvsadm", "-a", *service, way)


def take_weight(lab: Lab) -> None:
    """A real server without a weight, whose entries' ports come back, under expire_nodest_conn."""
    bal01 = lab.directors["bal01"]
    bal01.run("sh", "-c", f"echo 1 >{KNOB}")
    time.sleep(6)
    set_weight(lab, "srv01", 0)
    time.sleep(4)
    set_weight(lab, "srv01", 1)
    time.sleep(4)
    bal01.run("sh", "-c", f"echo 0 >{KNOB}")


VIP, VIP6 = "192.168.10.2", "fd00:10::2"
REUSED = ("--engine", "packets", "--local-ips", OWN, "--port-reuse", "1s")
STEADY = ("-q", "15", "-z", "12s", "--close", "client")
RUNS: dict[str, tuple[tuple[str, ...], Callable[[Lab], None]]] = {
    "mixed closings": (("--vip", VIP, "-n", "60", "--engine", "sockets", "--close", MIX), nothing),
    "port reuse": (("--vip", VIP, "-q", "11", "-z", "6s", "--close", "reset", *REUSED), nothing),
    "IPv6": (("--vip", VIP6, "-n", "60", "--close", "client"), nothing),
    "UDP": (("--vip", VIP, "--udp", "--port", str(UDP_PORT), "-n", "60"), nothing),
    "tcpfin set midway": (("--vip", VIP, *STEADY), set_midway),
    "server removed": (("--vip", VIP, *STEADY), remove_and_add),
    "weight 0": (("--vip", VIP, "-q", "11", "-z", "14s", "--close", "reset", *REUSED), take_weight),
    "600 entries": (("--vip", VIP, "-n", "600", "-q", "200", "--engine", "packets", "--local-ips",
                     OWN), nothing),
}  # fmt: skip
OBSERVE = {"nat": ("--observe", "15s")}
"""TIME_WAIT lasts two minutes there, whatever is set: as long as resets need is enough."""


def rows_of(kernel: str, forwarding: str, folder: Path) -> dict[str, Row | str]:
    """All runs in a lab of its own."""
    layout = lay_out(
        HostCounts(directors=1, servers=2),
        forwarding=forwarding,
        vip_by="static",
        timeouts=Timeouts(tcp_s=12, tcpfin_s=TCPFIN_S, udp_s=6),
        ipv6=True,
        udp_port=UDP_PORT,
    )
    found: dict[str, Row | str] = {}
    lab_name = f"m{os.getpid()}-{kernel.replace('.', '')}-{forwarding}"
    with Lab(with_kernel_image(layout, kernel), name=lab_name) as lab:
        for number, (name, (flags, meanwhile)) in enumerate(RUNS.items()):
            if name not in CHOSEN and CHOSEN != [""]:
                continue
            own_ports(lab, number)
            words = ("burst", *flags, *OBSERVE.get(forwarding, ()))
            directory = folder / f"{kernel}-{forwarding}-{number}"
            try:
                found[name] = run(lab, directory, *words, meanwhile=meanwhile)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                found[name] = str(error).splitlines()[0]
            delete_entries(lab)
    return found


def own_ports(lab: Lab, number: int) -> None:
    """Ports that no run before had, whose connections the servers may still hold."""
    first = 20_000 + 5_000 * number
    lab.client.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range={first} {first + 4_999}")


def delete_entries(lab: Lab) -> None:
    """Delete what the run left, so that no run meets another's entries."""
    host = lab.directors["bal01"]
    rules = host.output("ipvsadm", "-Sn")
    host.run("sh", "-c", f"echo 1 >{KNOB}; ipvsadm -C")
    deadline_s = time.monotonic() + 15
    while host.entries().splitlines()[1:] and time.monotonic() < deadline_s:
        time.sleep(0.2)
    host.run("sh", "-c", f"echo 0 >{KNOB}")
    for rule in rules.splitlines():
        host.run("ipvsadm", *rule.split())


def line(kernel: str, forwarding: str, name: str, row: Row | str) -> str:
    head = f"{kernel:5} {forwarding:3} {name:17}"
    if isinstance(row, str):
        return f"{head} not run: {row[:60]}"
    return " ".join(
        (
            head,
            f"{row.matches}/{row.samples}".rjust(11),
            f"{row.observed}/{row.predicted}".rjust(9),
            ("-" if row.worst_s is None else f"{row.worst_s:.3f}").rjust(7),
            f"{row.curve:5} {row.missed:6} {row.twice:5} {row.resizing:8}",
            ",".join(row.false),
        )
    )


def test_every_kernel_is_predicted_in_every_forwarding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = list(product(KERNELS, FORWARDINGS))
    with ThreadPoolExecutor(LABS) as pool:
        found = list(pool.map(lambda one: rows_of(one[0], one[1], tmp_path), wanted))
    with capsys.disabled(), suppress(BrokenPipeError):
        print("\n" + TITLE)
        for (kernel, forwarding), rows in zip(wanted, found, strict=True):
            for name, row in rows.items():
                print(line(kernel, forwarding, name, row))
    wrong = [
        (*one, name)
        for one, rows in zip(wanted, found, strict=True)
        for name, row in rows.items()
        if isinstance(row, str) or not row.is_right
    ]
    assert not wrong
