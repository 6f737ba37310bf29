"""What one read of a director's entries costs, kernel by kernel: its time and its CPU's.

Before Linux 6.14 the kernel begins its walk anew for each page of lines, so that a read costs the
square of the table; since then it goes on where it was. Each director's table is filled from one
process, with connections whose entries stay for 900 s, and then read by a process of its own while
nothing is sent. ``READ_COST_KERNELS`` and ``READ_COST_ENTRIES`` take other kernels and sizes: the
whole of it takes a quarter of an hour, and a read of 100,000 entries before 6.14 up to 40 s.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.versions import law_of
from loadgen.lab.lab import Lab
from loadgen.lab.topology.layout import HostCounts, lay_out, with_kernel_image

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
KERNELS = os.environ.get("READ_COST_KERNELS", "5.10,6.1,6.12,7.2").split(",")
SIZES = [int(n) for n in os.environ.get("READ_COST_ENTRIES", "5000,20000,50000,100000").split(",")]
VIP, AT_A_TIME = "192.168.10.2", 200
ADDRESSES_A_ROUND = 4
"""Of their own: no round comes back to a port of an earlier one, whose entry is there."""

SETTLES_S = 3.0
"""A table that resizes itself is looked at every 2 s."""

READS = 3
SLOW_S = 5.0
"""A read that took longer is not repeated."""

LINEAR_S, LINEAR_ENTRY_S = 0.3, 30e-6
"""CPU that a read may take where it is linear; 6.1 took six times that at 100,000 entries."""

READ_TABLE = f"""
import json, os, time
found = []
while len(found) < {READS} and not (found and found[-1]["took_s"] > {SLOW_S}):
    took_s, cpu_s = time.perf_counter(), time.process_time()
    file, lines = os.open("/proc/net/ip_vs_conn", os.O_RDONLY), -1
    while block := os.read(file, 1 << 16):
        lines += block.count(10)
    os.close(file)
    took_s, cpu_s = time.perf_counter() - took_s, time.process_time() - cpu_s
    found.append({{"lines": lines, "took_s": took_s, "cpu_s": cpu_s}})
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of the reads of one table: the quickest and the slowest, and the CPU of the quickest."""

    entries: int
    buckets: int
    fastest_s: float
    slowest_s: float
    cpu_s: float


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[str, list[Cost]]]:
    """What each kernel's reads took; all of it is printed at the end."""
    found: dict[str, list[Cost]] = {}
    yield found
    print(
        f"\n{'kernel':8}{'entries':>10}{'buckets':>10}{'fastest, s':>12}{'slowest, s':>12}", end=""
    )
    print(f"{'CPU, s':>10}{'us CPU an entry':>17}")
    for kernel, rows in found.items():
        for one in rows:
            print(
                f"{kernel:8}{one.entries:10,}{one.buckets:10,}{one.fastest_s:12.3f}"
                f"{one.slowest_s:12.3f}{one.cpu_s:10.3f}{one.cpu_s / one.entries * 1e6:17.1f}"
            )


def lab_of(kernel: str) -> Lab:
    """One director of that kernel, whose entries stay."""
    timeouts = Timeouts(tcp_s=900, tcpfin_s=900, udp_s=300)
    made = replace(
        lay_out(HostCounts(directors=1), vip_by="static", timeouts=timeouts), director_memory_mb=256
    )
    return Lab(with_kernel_image(made, kernel), name=f"b{os.getpid() % 100_000}-k")


def fill(lab: Lab, entries: int, number: int) -> None:
    """Add entries; ``number`` is the round's, for addresses of its own."""
    first = 100 + ADDRESSES_A_ROUND * number
    pool = f"192.168.10.{first}-192.168.10.{first + ADDRESSES_A_ROUND - 1}"
    words = ["packets", "1", str(entries), str(AT_A_TIME), "dropped", VIP, pool]
    argv = [sys.executable, str(HERE / "one_round.py"), *words]
    done = lab.client.run("env", f"PYTHONPATH={REPOSITORY}", *argv, limit_s=300)
    assert json.loads(done.stdout)["requests"] == entries


def held(lab: Lab) -> tuple[int, int]:
    """Entries by ActiveConn and InActConn, and buckets (/proc/net/ip_vs)."""
    text = lab.hosts["bal01"].run("cat", "/proc/net/ip_vs").stdout
    servers = [line.split()[-2:] for line in text.splitlines() if line.startswith("  ->")][1:]
    size = text.partition("size=")[2].partition(")")[0]
    return sum(int(number) for pair in servers for number in pair), int(size)


def read(lab: Lab) -> list[dict[str, Any]]:
    """Reads of the whole table, by the director's own kernel into nothing."""
    done = lab.hosts["bal01"].run(sys.executable, "-c", READ_TABLE, limit_s=300)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_read_of_the_entries_costs(kernel: str, costs: dict[str, list[Cost]]) -> None:
    rows = costs.setdefault(kernel, [])
    with lab_of(kernel) as lab:
        for number, size in enumerate(SIZES):
            fill(lab, size - held(lab)[0], number)
            time.sleep(SETTLES_S)
            entries, buckets = held(lab)
            reads = read(lab)
            quickest = min(reads, key=lambda one: one["took_s"])
            cost = Cost(
                entries=entries,
                buckets=buckets,
                fastest_s=quickest["took_s"],
                slowest_s=max(one["took_s"] for one in reads),
                cpu_s=quickest["cpu_s"],
            )
            rows.append(cost)
            assert entries == size
            assert {one["lines"] for one in reads} == {entries}  # nothing comes or goes
            if law_of(kernel).reads_linearly:
                assert cost.cpu_s < LINEAR_S + LINEAR_ENTRY_S * entries
