"""What a lab costs: seconds up and down, memory per director; and what a kill -9 leaves: nothing.

``make bench`` prints a table. ``LAB_SEED`` chooses the moments of the kills.
"""

from __future__ import annotations

import ctypes
import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.lab import state
from loadgen.lab.lab import Lab, running
from loadgen.lab.system.processes import PROC
from loadgen.lab.takedown import namespaces_of
from loadgen.lab.topology.layout import HostCounts, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Topology

ROUNDS = 3
ROWS = {
    "keepalived, 2 directors, 2 servers": lay_out(),
    "static VIP, 2 directors, 2 servers": lay_out(vip_by="static"),
    "keepalived, nat": lay_out(forwarding="nat"),
    "keepalived, tun": lay_out(forwarding="tun"),
    "keepalived, IPv6, UDP": lay_out(ipv6=True, udp_port=7),
    "keepalived, 3 directors, 6 VIPs": lay_out(HostCounts(directors=3, vips=6)),
    "static, 5 directors, 16 servers": lay_out(
        HostCounts(directors=5, servers=16), vip_by="static"
    ),
}
UP_LIMIT_S = {"keepalived": 10.0, "static": 4.0}
DOWN_LIMIT_S = 1.0
FOUND_LIMIT_S = 0.02
RESIDENT_LIMIT_MB = 100.0
SYS_KCMP, KCMP_VM = 312, 1  # x86-64; include/uapi/linux/kcmp.h
LIBC = ctypes.CDLL(None)
KILLS = 20
KILLED_BEFORE_S = 2.0
"""A lab with static VIPs takes less to come up."""


@dataclass(frozen=True)
class Cost:
    """One lab's, the median of its rounds; memory is the largest director's."""

    up_s: float
    down_s: float
    found_s: float
    resident_mb: float


def measure(topology: Topology) -> Cost:
    rounds = [measure_once(topology) for _ in range(ROUNDS)]
    return Cost(
        up_s=statistics.median(cost.up_s for cost in rounds),
        down_s=statistics.median(cost.down_s for cost in rounds),
        found_s=statistics.median(cost.found_s for cost in rounds),
        resident_mb=max(cost.resident_mb for cost in rounds),
    )


def measure_once(topology: Topology) -> Cost:
    lab = Lab(topology)
    started_s = time.monotonic()
    with lab:
        up_s = time.monotonic() - started_s
        pids = [process.pid for process in lab.state.directors.values()]
        largest_mb = max(resident_mb(pid) for pid in pids)
        sought_s = time.monotonic()
        assert running(lab.name) is not None
        found_s = time.monotonic() - sought_s
        leaving_s = time.monotonic()
    return Cost(up_s, time.monotonic() - leaving_s, found_s, largest_mb)


def resident_mb(leader: int) -> float:
    """Memory of a kernel's leader and helpers.

    Many of them share one address space, which counts once; pages that several address spaces map
    are divided among them (Pss, proc_pid_smaps(5)).
    """
    spaces: list[int] = []
    for pid in of_session(leader):
        if not any(share_memory(pid, other) for other in spaces):
            spaces.append(pid)
    return sum(map(pss_kb, spaces)) / 1024


def share_memory(one: int, other: int) -> bool:
    """Whether two processes have one address space: kcmp(2)."""
    return bool(LIBC.syscall(SYS_KCMP, one, other, KCMP_VM, 0, 0) == 0)


def of_session(leader: int) -> Iterator[int]:
    for path in PROC.iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                yield int(path.name)


def pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[str, Cost]]:
    """All rows, printed as a table at the end."""
    found = {name: measure(topology) for name, topology in ROWS.items()}
    yield found
    lines = [
        f"{name:36} {c.up_s:6.2f} {c.down_s:6.2f} {c.found_s:8.4f} {c.resident_mb:11.1f}"
        for name, c in found.items()
    ]
    heads = f"{'lab':36} {'up, s':>6} {'down,s':>6} {'found, s':>8} {'director,MB':>11}"
    table = "\n".join([heads, *lines])
    print(f"\n{table}")


@pytest.mark.parametrize("name", ROWS)
def test_a_lab_comes_and_goes_in_seconds_and_is_small(costs: dict[str, Cost], name: str) -> None:
    cost, usual = costs[name], len(ROWS[name].hosts) <= 5
    if usual:
        assert cost.up_s < UP_LIMIT_S[ROWS[name].vip_by]
    assert cost.down_s < DOWN_LIMIT_S
    assert cost.found_s < FOUND_LIMIT_S
    assert cost.resident_mb < RESIDENT_LIMIT_MB


def test_killed_at_20_random_moments_the_next_up_works_each_time() -> None:
    seed = int(os.environ.get("LAB_SEED", "1"))
    moments = random.Random(seed).choices(range(int(KILLED_BEFORE_S * 1000)), k=KILLS)
    name = f"k{os.getpid()}"
    topology = lay_out(vip_by="static")
    survived = 0
    for moment_ms in moments:
        survived += start_up_and_kill(name, moment_ms / 1000)
        with Lab(topology, name=name) as lab:
            assert lab.client.output("curl", "-s", "-m", "5", lab.topology.vip).startswith("srv0")
        assert namespaces_of(name) == []
        assert not state.directory(name).exists()
    print(
        f"\nkilled at {KILLS} moments (seed {seed}), {survived} after it was up; up again each time"
    )


def start_up_and_kill(name: str, moment_s: float) -> bool:
    """Kill ``lab up`` after a while; whether it had ended by then."""
    main = "from loadgen.commands.loadgen import main; main()"
    argv = [sys.executable, "-c", main, "lab", "up", "--name", name, "--vip-by", "static"]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        time.sleep(moment_s)
        ended = process.poll() is not None
        process.kill()
    return ended
