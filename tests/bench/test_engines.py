"""The engines beside their peers: one nginx, two namespaces, new connections with one GET each.

All in one run, in rounds that take turns, so that what else the machine does falls on all alike.
The client's namespace has ports 1024 to 65535 and tcp_tw_reuse=1: who closes first keeps the port
in TIME_WAIT, and a round would starve the next.

To put another engine beside them, add it to ``CONTENDERS`` and its bars to ``BARS``.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5
REQUESTS = 10_000
FEW = 200  # of the loop of curls
CONCURRENCY = 50
ROWS = 40_000
PORT = 80
SERVER_IP, CLIENT_IP = "10.99.0.1", "10.99.0.2"
URL = f"http://{SERVER_IP}/"
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]

NGINX = """\
pid {0}/pid; error_log {0}/error.log; worker_processes 1; daemon off; user root root;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {0}/t; proxy_temp_path {0}/t; fastcgi_temp_path {0}/t;
  uwsgi_temp_path {0}/t; scgi_temp_path {0}/t;
  server {{ listen {1}:80 backlog=4096; location / {{ return 200 "hello\\n"; }} }}
}}
"""


@dataclass(frozen=True)
class Result:
    """One round of one contender."""

    rate_per_s: float
    cpu_ms_per_1000: float


@dataclass(frozen=True)
class Bench:
    """Two namespaces, a wire between them, and nginx at its end."""

    client: str

    def run(self, *argv: str) -> str:
        """A command in the client's namespace; what it printed."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.client, *argv],
            capture_output=True,
            text=True,
            check=True,
            cwd=REPOSITORY,
            timeout=120,
        )
        return done.stdout

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
    """The wire and the server; gone afterwards, also when a test was cut short."""
    server, client = f"lgs{os.getpid()}", f"lgc{os.getpid()}"
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "nginx.conf").write_text(NGINX.format(folder, SERVER_IP))
    nginx = None
    try:
        for words in _wiring(server, client):
            subprocess.run(shlex.split(words), check=True, capture_output=True)
        command = ["ip", "netns", "exec", server, "nginx", "-c", str(folder / "nginx.conf")]
        nginx = subprocess.Popen([*command, "-e", str(folder / "error.log")])
        made = Bench(client)
        _await(made)
        yield made
    finally:
        if nginx is not None:
            nginx.terminate()
            nginx.wait()
        for name in (server, client):
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


def _wiring(server: str, client: str) -> list[str]:
    inside = f"ip netns exec {client}"
    return [
        f"ip netns add {server}",
        f"ip netns add {client}",
        f"ip -n {server} link add up0 type veth peer name up0 netns {client}",
        f"ip -n {server} address add {SERVER_IP}/24 dev up0",
        f"ip -n {client} address add {CLIENT_IP}/24 dev up0",
        *(
            f"ip -n {name} link set {link} up"
            for name in (server, client)
            for link in ("lo", "up0")
        ),
        f"{inside} sysctl -qw 'net.ipv4.ip_local_port_range=1024 65535'",
        f"{inside} sysctl -qw net.ipv4.tcp_tw_reuse=1",
    ]


def _await(bench: Bench) -> None:
    for _ in range(100):
        with suppress(subprocess.CalledProcessError):
            bench.run("curl", "-s", "-o", "/dev/null", URL)
            return
        time.sleep(0.05)
    pytest.fail("nginx does not answer")


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
