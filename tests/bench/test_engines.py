"""The engines beside their peers: one nginx, two namespaces, new connections with one GET each.

All in one run, in rounds that take turns, so that what else the machine does falls on all alike.

To put another engine beside them, add it to ``CONTENDERS`` and its bars to ``BARS``.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.bench.stand import REPOSITORY, URL, Stand, director_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5
REQUESTS = 10_000
FEW = 200  # of the loop of curls
CONCURRENCY = 50
ROWS = 40_000
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Result:
    """One round of one contender."""

    rate_per_s: float
    cpu_ms_per_1000: float


class Bench(Stand):
    """Who sends on the stand, one after the other."""

    def engine(self, name: str, processes: int) -> Result:
        """An engine of ours, every row recorded; its CPU is the workers' and the recorder's."""
        shown = self.round(name, processes, REQUESTS, CONCURRENCY, "recorded")
        assert (shown["requests"], shown["failed"]) == (REQUESTS, 0)
        return Result(shown["rate_per_s"], shown["cpu_s"] * 1e6 / REQUESTS)

    def round(self, *words: str | int) -> dict[str, float]:
        """One round of ``one_round.py``."""
        argv = [sys.executable, str(HERE / "one_round.py"), *map(str, words)]
        found: dict[str, float] = json.loads(self.run("env", f"PYTHONPATH={REPOSITORY}", *argv))
        return found

    def peer(self, *argv: str) -> Result:
        """A peer that prints its rate."""
        before = _children_cpu_s()
        printed = self.run(*argv)
        cpu_s = _children_cpu_s() - before
        rate = re.search(r"Requests(?: per second|/sec):\s*([\d.]+)", printed)
        count = re.search(r"Complete requests:\s*(\d+)|(\d+) requests in", printed)
        assert rate, printed
        done = int(count[1] or count[2]) if count else REQUESTS
        return Result(float(rate[1]), cpu_s * 1e6 / done)

    def curls(self) -> Result:
        """A shell that starts one curl after another."""
        before, began = _children_cpu_s(), time.monotonic()
        loop = f"for i in $(seq {FEW}); do curl -s -o /dev/null {URL}; done"
        self.run("bash", "-c", loop)
        took_s = time.monotonic() - began
        return Result(FEW / took_s, (_children_cpu_s() - before) * 1e6 / FEW)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


N, C = str(REQUESTS), str(CONCURRENCY)
CONTENDERS: dict[str, Callable[[Bench], Result]] = {
    "loop of curls": Bench.curls,
    "hey": lambda bench: bench.peer("hey", "-n", N, "-c", C, "-disable-keepalive", URL),
    "ab": lambda bench: bench.peer("ab", "-q", "-n", N, "-c", C, URL),
    "wrk": lambda bench: bench.peer("wrk", "-t1", "-c", C, "-d1s", "-H", "Connection: close", URL),
    "http x2": lambda bench: bench.engine("http", 2),
    "sockets": lambda bench: bench.engine("sockets", 1),
    "sockets x2": lambda bench: bench.engine("sockets", 2),
    "packets": lambda bench: bench.engine("packets", 1),
}

BEST = ("ab", "wrk", "hey")
BARS: list[tuple[str, tuple[str, ...], float]] = [
    ("http x2", ("loop of curls",), 20),
    ("http x2", ("hey",), 0.5),
    ("sockets", BEST, 0.8),
    ("sockets x2", BEST, 1.0),
    ("packets", BEST, 1.5),
]
"""Contender, those whose best it is set beside, and the least ratio of medians."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The stand, with all who send on it."""
    with director_settings(tmp_path_factory.mktemp("nginx")) as stand:
        yield Bench(stand.client)


def test_engines_beside_their_peers(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    rounds: dict[str, list[Result]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, contend in CONTENDERS.items():
            rounds[name].append(contend(bench))
    rate = {name: median(each.rate_per_s for each in found) for name, found in rounds.items()}
    cpu = {name: median(each.cpu_ms_per_1000 for each in found) for name, found in rounds.items()}
    ratios = [
        (name, peers, rate[name] / max(rate[p] for p in peers), bar) for name, peers, bar in BARS
    ]
    with capsys.disabled():
        print(f"\nnew connections with one GET each, {CONCURRENCY} at a time, medians of {ROUNDS}")
        for name in CONTENDERS:
            rates = sorted(each.rate_per_s for each in rounds[name])
            print(
                f"  {name:14}{rate[name]:>9,.0f}/s ({rates[0]:,.0f} to {rates[-1]:,.0f})"
                f"{cpu[name]:>9,.0f} ms CPU per 1,000"
            )
        for name, peers, ratio, bar in ratios:
            print(f"  {name} / best of {', '.join(peers)}: {ratio:.2f} (bar {bar:g})")
    assert [(name, peers) for name, peers, ratio, bar in ratios if ratio < bar] == []


def test_a_schedule_of_2000_a_second_is_kept_to_a_millisecond(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    late = [bench.round("sockets", 1, 6000, 0, "recorded")["late_ms"] for _ in range(ROUNDS)]
    shown = {place: median(each[place] for each in late) for place in ("50", "99", "100")}  # type: ignore[index]
    with capsys.disabled():
        print(
            f"\nlateness at 2,000/s, ms, medians of {ROUNDS}: half below {shown['50']:.3f}, "
            f"99 % below {shown['99']:.3f}, all below {shown['100']:.3f}"
        )
    assert shown["99"] <= 1


def test_recording_every_row_costs_less_than_a_twentieth(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, list[float]] = {"recorded": [], "dropped": []}
    for _ in range(ROUNDS):
        for rows, rates in found.items():
            shown = bench.round("sockets", 1, ROWS, CONCURRENCY, rows)
            assert shown["requests"] == ROWS
            rates.append(shown["rate_per_s"])
    ratio = median(found["recorded"]) / median(found["dropped"])
    with capsys.disabled():
        print(f"\nrate with every row recorded / with rows dropped: {ratio:.3f}")
    assert ratio >= 0.95
