"""A long watch of a good director beside a hostile, a slow and a huge one.

The directors are played by ``tests/hostile/director.py``. The good one's polls must go on and
memory must stay flat; the figures are printed. ``SOAK_S`` says for how long (1,800).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analyzer.recording.directory import Recording
from tests.bench.memory import warm_mb, watch_memory
from tests.bench.stalls import Stalls, watched_stalls

SOAK_S = float(os.environ.get("SOAK_S", "1800"))
BIN = Path(sys.executable).parent
PROGRAM = Path(__file__).parents[1] / "hostile" / "director.py"
BAD = ("garbage", "slow", "huge")
APART_S = 0.5
GROWTH_MB_AN_HOUR = 40.0


@dataclass
class Soak:
    """The run, and how much memory loadgen had: seconds since the start, MB."""

    directory: Path
    code: int = -1
    resident: list[tuple[float, float]] = field(default_factory=list)
    stalls: Stalls = field(default_factory=Stalls)


def link(mode: str) -> str:
    """Bad directors are other machines: they give way to loadgen and to the good one."""
    nice = "" if mode == "good" else "nice -n 19 "
    return f"exec:{nice}{sys.executable} {PROGRAM} {mode}"


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Soak:
    soak = Soak(tmp_path_factory.mktemp("soak") / "run")
    directors = [word for mode in ("good", *BAD) for word in ("--director", link(mode))]
    words = [str(BIN / "loadgen"), "collect", *directors, "-z", f"{SOAK_S:.0f}s"]
    with soak.directory.with_suffix(".log").open("w") as log:
        command = [*words, "-o", str(soak.directory)]
        with watched_stalls() as soak.stalls:
            watch = subprocess.Popen(command, stdout=log, stderr=log, text=True)
            watch_memory(watch, soak.resident, time.monotonic() + SOAK_S)
            soak.code = watch.wait(timeout=300)
    return soak


def test_the_run_lasts_to_its_end(soak: Soak) -> None:
    assert soak.code == 0, soak.directory.with_suffix(".log").read_text()
    assert Recording.open(soak.directory).manifest.ended == "completed"


def test_the_good_directors_polls_go_on_and_none_lacks_a_row(soak: Soak) -> None:
    recording = Recording.open(soak.directory)
    polls, services = (
        table[table["director"].str.endswith(" good")]
        for table in (recording.table("polls"), recording.table("services"))
    )
    pairs = list(pairwise(polls["asked"]))
    apart_s = np.array([(later - before).total_seconds() for before, later in pairs])
    still_s = np.array([soak.stalls.within_s(one.value, other.value) for one, other in pairs])
    print(
        f"\n{len(polls)} polls of the good director, {np.mean(apart_s):.3f} s apart, 99.9 % within "
        f"{np.quantile(apart_s, 0.999):.2f} s, longest {max(apart_s):.2f} s of {APART_S:g} s, "
        f"less the machine's stalls {max(apart_s - still_s):.2f} s (longest {max(still_s):.2f} s)"
    )
    assert sum(apart_s) > SOAK_S - 5
    assert max(apart_s - still_s) <= APART_S
    assert set(services.groupby("at").size()) == {4}
    assert services["at"].nunique() == len(polls)


def test_memory_stays_flat(soak: Soak) -> None:
    mb = warm_mb(soak.resident, GROWTH_MB_AN_HOUR)
    assert mb.max() < 2 * np.median(mb)
