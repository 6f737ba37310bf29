"""A director's table filled from one process: a million entries, and everybody counts the same.

The client closes and the director keeps such entries for 900 s, so that the real servers need
not hold a million sockets. Its counters are read, never its list of entries: that costs the square
of the table.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.lab.lab import Lab
from loadgen.lab.topology.model import exercise

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
VIP, POOL = "192.168.10.2", "192.168.10.200-192.168.10.219"
ENTRIES = int(os.environ.get("FULL_TABLE_ENTRIES", "1000000"))
AT_A_TIME = 400
ADDED_UP_S = 2.5
TOPOLOGY = replace(
    exercise(Timeouts(tcp_s=900, tcpfin_s=900, udp_s=300)),
    director_memory_mb=1024,  # entries of 341 bytes, twice over
    conn_tab_bits=20,
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(TOPOLOGY, name=f"b{os.getpid()}-full") as made:
        yield made


def held(lab: Lab) -> tuple[int, int]:
    """Active and inactive entries, summed over the real servers (/proc/net/ip_vs)."""
    text = lab.hosts["bal01"].run("cat", "/proc/net/ip_vs").stdout
    servers = [line.split()[-2:] for line in text.splitlines() if line.startswith("  ->")][1:]
    active, inactive = zip(*servers, strict=True)
    return sum(map(int, active)), sum(map(int, inactive))


def connections(lab: Lab) -> int:
    """All that the director has ever made an entry for (/proc/net/ip_vs_stats, hexadecimal).

    The kernel adds up what its CPUs have counted every 2 s (net/netfilter/ipvs/ip_vs_est.c).
    """
    time.sleep(ADDED_UP_S)
    text = lab.hosts["bal01"].run("cat", "/proc/net/ip_vs_stats").stdout
    return int(text.splitlines()[2].split()[0], 16)


def fill(lab: Lab, entries: int) -> dict[str, Any]:
    words = ["packets", "1", str(entries), str(AT_A_TIME), "recorded", VIP, POOL]
    argv = [sys.executable, str(HERE / "one_round.py"), *words]
    done = lab.client.run("env", f"PYTHONPATH={REPOSITORY}", *argv, limit_s=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_million_entries_are_put_into_a_table_and_held(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    before = connections(lab)  # the lab looks whether it works
    assert held(lab) == (0, 0)
    shown = fill(lab, ENTRIES)
    active, inactive = held(lab)
    made = connections(lab) - before
    with capsys.disabled():
        print(
            f"\n{ENTRIES:,} connections at {shown['rate_per_s']:,.0f}/s, "
            f"{shown['workers_cpu_s'] / ENTRIES * 1e6:.0f} us CPU each, {shown['failed']:,} failed;"
            f"\nthe director holds {active:,} active and {inactive:,} inactive, has made {made:,}"
        )
        print(*shown["said"], sep="\n")
    assert shown["requests"] == ENTRIES
    assert shown["failed"] == 0
    assert (active + inactive, made) == (ENTRIES, ENTRIES)
