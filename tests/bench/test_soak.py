"""A long watch of a lab whose directors are stopped, started and cut off at random.

No gap may go unrecorded, no row be lost on either side of one, and memory must stay flat. The
figures are printed. ``SOAK_S`` says for how long (half an hour by default), ``SOAK_SEED`` what
happens when.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.observed.entries import ns
from analyzer.recording.directory import Recording
from loadgen.director.polling.pace import POLL_TIMEOUT_S
from loadgen.director.polling.poller import INTERVAL_S
from loadgen.lab.faults.faults import inflict
from loadgen.lab.lab import Lab
from tests.bench.memory import warm_mb, watch_memory

if TYPE_CHECKING:
    import pandas as pd

SOAK_S = float(os.environ.get("SOAK_S", "1800"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
FAULTS = {"crash": "boot", "unplug": "replug", "link-down": "link-up"}
"""What is done to a director, and what undoes it."""

UNHINDERED_S = 1.5
"""Polls that nothing hinders are a quarter of a second apart; a busy machine gets some more."""

NOTICED_S = POLL_TIMEOUT_S + INTERVAL_S + 1
BACK_S = 30.0
"""Attempts are at most 3 s apart, and one that is answered by nobody takes 5 s."""

GROWTH_MB_AN_HOUR = 20.0


@dataclass
class Soak:
    """What was done to the directors meanwhile, and how much memory the program had.

    Attributes:
        outages: director, fault, when it was ordered and when undone; Unix time.
        resident: seconds since the start, MB.
    """

    directory: Path
    code: int = -1
    complaint: str = ""
    outages: list[tuple[str, str, float, float]] = field(default_factory=list)
    resident: list[tuple[float, float]] = field(default_factory=list)

    def of(self, director: str) -> list[tuple[str, str, float, float]]:
        return [outage for outage in self.outages if outage[0] == director]


def torment(lab: Lab, director: str, soak: Soak, until_s: float, seed: int) -> None:
    """Stop, start and cut one director off, until shortly before the end."""
    dice = random.Random(seed)
    while True:
        up_s, down_s = dice.uniform(10, 40), dice.uniform(6, 25)
        fault = dice.choice(list(FAULTS))
        if time.monotonic() + up_s + down_s + BACK_S > until_s:
            return
        time.sleep(up_s)
        with LAB_LOCK:
            ordered_s = time.time()
            inflict(lab, director, fault)
        time.sleep(down_s)
        with LAB_LOCK:
            inflict(lab, director, FAULTS[fault])
        soak.outages.append((director, fault, ordered_s, time.time()))


LAB_LOCK = threading.Lock()  # of one lab, one change at a time


def send_on(lab: Lab, until_s: float) -> None:
    """A request every second, so that there are entries; many fail, while nobody holds the VIP."""
    while time.monotonic() < until_s:
        argv = ("curl", "-s", "-o", "/dev/null", "-m", "1", f"http://{VIP}/")
        lab.client.run(*argv, check=False)
        time.sleep(1)


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Soak:
    soak = Soak(tmp_path_factory.mktemp("soak") / "run")
    with Lab(name=f"soak{os.getpid()}") as lab:
        argv = [
            *(str(BIN / "loadgen"), "burst", "--vip", VIP, "--lab", lab.name, "--no-capture"),
            *("-n", "50", "--observe", f"{SOAK_S:.0f}", "-o", str(soak.directory)),
        ]
        with subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as p:
            until_s = time.monotonic() + SOAK_S - 2
            tormentors = [
                threading.Thread(target=torment, args=(lab, name, soak, until_s, SEED + number))
                for number, name in enumerate(lab.directors)
            ]
            others = [
                threading.Thread(target=watch_memory, args=(p, soak.resident, until_s)),
                threading.Thread(target=send_on, args=(lab, until_s)),
            ]
            for thread in (*tormentors, *others):
                thread.start()
            for thread in (*tormentors, *others):
                thread.join()
            _, soak.complaint = p.communicate(timeout=600)
            soak.code = p.returncode
    return soak


@pytest.fixture(scope="module")
def recording(soak: Soak) -> Recording:
    return Recording.open(soak.directory)


def by_director(table: pd.DataFrame, column: str = "director") -> dict[str, pd.DataFrame]:
    return {str(name): rows.sort_values("at") for name, rows in table.groupby(column)}


def gaps_of(polls: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Where polls are far apart: the last before, when the first after was asked, and taken."""
    at_s, asked_s = ns(polls["at"]) / 1e9, ns(polls["asked"]) / 1e9
    wide = np.flatnonzero(np.diff(at_s) > UNHINDERED_S)
    return [(float(at_s[i]), float(asked_s[i + 1]), float(at_s[i + 1])) for i in wide]


def times_of(events: pd.DataFrame, director: str, kind: str) -> list[float]:
    rows = events[(events["host"] == director) & (events["kind"] == kind)]
    return sorted((ns(rows["at"]) / 1e9).tolist())


def test_the_run_lasts_to_its_end(soak: Soak, recording: Recording) -> None:
    assert soak.code == 0, soak.complaint
    assert recording.manifest.raw["ended"] == "completed"
    assert len(soak.outages) >= SOAK_S / 60 - 2


def test_no_gap_is_unrecorded(soak: Soak, recording: Recording) -> None:
    """Each is between a link-lost and a link-back, or one slow answer, which says what it took."""
    events = recording.table("events")
    recorded = slow = 0
    longest_s = 0.0
    for director, polls in by_director(recording.table("polls")).items():
        lost, back, aside = (
            times_of(events, director, kind) for kind in ("link-lost", "link-back", "slow-answer")
        )
        assert len(lost) == len(back)
        for before_s, asked_s, after_s in gaps_of(polls):
            longest_s = max(longest_s, after_s - before_s)
            if any(before_s <= at_s <= after_s for at_s in lost):
                recorded += 1
                assert any(abs(at_s - after_s) < 1 for at_s in back), (director, before_s)
            elif any(before_s <= at_s <= after_s for at_s in aside):
                slow += 1
            else:
                slow += 1
                assert asked_s - before_s < UNHINDERED_S, (director, before_s, after_s)
        assert len(lost) <= recorded
    print(f"\n{recorded} gaps recorded as such, {slow} slow answers; the longest {longest_s:.1f} s")


def test_each_outage_is_a_gap_that_is_recorded(soak: Soak, recording: Recording) -> None:
    events = recording.table("events")
    noticed = []
    for director, fault, ordered_s, undone_s in soak.outages:
        lost = times_of(events, director, "link-lost")
        found = [at_s for at_s in lost if ordered_s <= at_s <= undone_s + NOTICED_S]
        assert found, (director, fault, ordered_s, undone_s)
        noticed.append(found[0] - ordered_s)
    print(
        f"\n{len(soak.outages)} outages, noticed after {np.mean(noticed):.1f} s, "
        f"at most {max(noticed):.1f} s"
    )


def test_every_director_comes_back_by_itself(soak: Soak, recording: Recording) -> None:
    events = recording.table("events")
    took = []
    for director in {outage[0] for outage in soak.outages}:
        ends = [undone_s for _, _, _, undone_s in soak.of(director)]
        back = times_of(events, director, "link-back")
        took += [min(at_s for at_s in back if at_s >= undone_s - 1) - undone_s for undone_s in ends]
    print(f"\nback {np.mean(took):.1f} s after the end of an outage, at most {max(took):.1f} s")
    assert max(took) < BACK_S


def test_no_row_is_lost_on_either_side_of_a_gap(soak: Soak, recording: Recording) -> None:
    """Each poll has its rows; and between gaps no poll is missing."""
    services = recording.table("services")
    lines = []
    for director, polls in by_director(recording.table("polls")).items():
        rows = services[services["director"] == director].groupby("at").size()
        booting = ~polls["at"].isin(rows.index)  # its services are not there yet
        assert booting.sum() <= 12 * (1 + len(soak.of(director))), director
        assert set(rows) <= {1, 2}
        assert polls["at"].is_unique
        at_s = ns(polls["at"]) / 1e9
        steps_s = np.diff(at_s)
        usual = steps_s[steps_s <= UNHINDERED_S]
        assert np.median(usual) == pytest.approx(INTERVAL_S, abs=0.05)
        lines.append(
            f"{director}: {len(polls)} polls, {usual.sum():.0f} s watched, "
            f"{np.mean(usual) * 1e3:.0f} ms apart, 99 % within "
            f"{np.quantile(usual, 0.99) * 1e3:.0f} ms"
        )
        assert len(usual) > 0.8 * usual.sum() / INTERVAL_S
    print("\n" + "\n".join(lines))


def test_a_lost_director_hinders_no_other(soak: Soak, recording: Recording) -> None:
    outages = soak.outages
    for director, polls in by_director(recording.table("polls")).items():
        own = [(from_s, to_s) for name, _, from_s, to_s in outages if name == director]
        for before_s, _, after_s in gaps_of(polls):
            assert any(from_s - 2 <= after_s and before_s <= to_s + BACK_S for from_s, to_s in own)


def test_a_poll_lies_between_the_asking_and_the_answer_over_every_reboot(
    soak: Soak, recording: Recording
) -> None:
    polls = recording.table("polls")
    at_ns, asked_ns = ns(polls["at"]), ns(polls["asked"])
    assert (at_ns >= asked_ns).all()
    assert (at_ns <= asked_ns + polls["took_ms"].to_numpy() * 1e6 + 1e3).all()
    reboots = sum(fault == "crash" for _, fault, _, _ in soak.outages)
    recorded = recording.table("events")["kind"].eq("rebooted").sum()
    print(f"\n{reboots} reboots, {recorded} recorded")
    assert recorded == reboots


def test_memory_stays_flat(soak: Soak) -> None:
    mb = warm_mb(soak.resident, GROWTH_MB_AN_HOUR)
    assert mb.max() < 1.5 * mb[0]
