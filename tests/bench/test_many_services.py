"""A watch of very many services: does it keep its pace, and is its page made soon and small?

The directors are played by ``tests/hostile/director.py``; beside the large one, a small one is
watched, whose polls must go on. ``MANY_SERVICES`` (10,000) and ``MANY_SERVERS`` (5, of each) make
it smaller; loadgen is held to one core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from analyzer.recording.directory import Recording

SERVICES = int(os.environ.get("MANY_SERVICES", "10000"))
SERVERS = int(os.environ.get("MANY_SERVERS", "5"))
BIN = Path(sys.executable).parent
PROGRAM = Path(__file__).parents[1] / "hostile" / "director.py"
WATCHED_S = 20.0
AT_END_S = 5.0
"""Of the watch, that the polls may be short of it."""

MADE_S, SIZE_MB = 15.0, 6.0
APART_S, GOOD_APART_S = 1.0, 0.5


def link(services: int, servers: int) -> str:
    core = max(os.sched_getaffinity(0))  # a director is another machine: not loadgen's core
    env = f"SERVICES={services} SERVERS={servers}"
    return f"exec:taskset -c {core} env {env} {sys.executable} {PROGRAM} good"


def apart_s(run: Path, services: int) -> list[float]:
    """The time between polls of the director that has so many services."""
    polls = Recording.open(run).table("polls")
    mine = polls[polls["director"].str.contains(f"SERVICES={services} ", regex=False)]
    return [(later - earlier).total_seconds() for earlier, later in pairwise(mine["asked"])]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a watch, before its analysis."""
    path = tmp_path_factory.mktemp("many") / "run"
    core = str(min(os.sched_getaffinity(0)))
    directors = ["--director", link(SERVICES, SERVERS), "--director", link(1, 1)]
    words = ["taskset", "-c", core, str(BIN / "loadgen"), "collect", *directors]
    with path.with_suffix(".log").open("w") as log:
        began_s = time.monotonic()
        watch = subprocess.Popen(
            [*words, "-z", f"{WATCHED_S:.0f}", "-o", str(path)], stdout=log, stderr=log
        )
        assert watch.wait(timeout=WATCHED_S + 200) == 0
    manifest = Recording.open(path).manifest
    print(f"\n{SERVICES:,} services of {SERVERS}: {time.monotonic() - began_s:.1f} s with the page")
    assert manifest.ended == "completed"
    return path


def test_the_large_director_is_polled_every_second_and_the_small_one_goes_on(run: Path) -> None:
    large_s, small_s = apart_s(run, SERVICES), apart_s(run, 1)
    mean_s = sum(large_s) / len(large_s)
    print(f"polls apart: {mean_s:.2f} s (longest {max(large_s):.2f} s) of {SERVICES:,} services,")
    print(f"longest {max(small_s):.2f} s of the director beside it")
    assert sum(large_s) > WATCHED_S - AT_END_S
    assert mean_s <= APART_S
    assert max(small_s) <= GOOD_APART_S


def test_its_page_is_made_soon_and_small(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    began_s = time.monotonic()
    subprocess.run([BIN / "analyzer", "report", run, "-o", page], check=True, capture_output=True)
    took_s, size_mb = time.monotonic() - began_s, page.stat().st_size / 1e6
    print(f"page after {took_s:.1f} s of {MADE_S:g} s, {size_mb:.1f} MB of {SIZE_MB:g} MB")
    assert took_s <= MADE_S
    assert size_mb <= SIZE_MB
