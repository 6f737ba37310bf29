"""Somebody else's ``ipvsadm --set`` in mid-burst, there and back: found, and gone by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.errors import LoadgenError
from loadgen.lab.lab import Lab
from loadgen.lab.topology.model import exercise
from tests.lab.delays import Delays, measured_delays
from tests.lab.expiries import assert_expiries_predicted, measured_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.estimate.in_force.model import TimeoutChange
    from analyzer.measured import Measured

pytestmark = pytest.mark.alone

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
RATE, DURATION_S = 20, 18
USUAL_S, OTHER_S = 10, 5
CHANGED_AFTER_S = (5.0, 5.0)  # the first change after the burst began, the second after that
LIMIT_S = 120.0
BEGINS = "watching bal01, bal02"


@dataclass(frozen=True)
class Ran:
    """The burst's document and recording, and between which instants each change was made."""

    code: int
    document: Any
    directory: Path
    commands_ns: tuple[tuple[int, int], ...]
    delays: Delays


@pytest.fixture(scope="module")
def forgetful(lab_prefix: str) -> Iterator[Lab]:
    """A lab that forgets in 10 s."""
    timeouts = Timeouts(tcp_s=900, tcpfin_s=USUAL_S, udp_s=300)
    try:
        made = Lab(exercise(timeouts), name=f"{lab_prefix}-set").up()
    except LoadgenError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no lab: {error}")
    with made:
        yield made


def set_tcpfin(lab: Lab, value_s: int) -> tuple[int, int]:
    """As an administrator would, who knows nothing of the burst; between which instants."""
    began_ns = time.time_ns()
    lab.directors["bal01"].run("ipvsadm", "--set", "0", str(value_s), "0")
    return began_ns, time.time_ns()


@pytest.fixture(scope="module")
def ran(forgetful: Lab, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    directory = tmp_path_factory.mktemp("changed") / "run"
    command = [BIN / "loadgen", "burst", "--vip", VIP, "--json", "--lab", forgetful.name]
    flags = ["-q", str(RATE), "-z", f"{DURATION_S}s", "-o", str(directory)]
    with (
        measured_delays(forgetful, "bal01") as delays,
        subprocess.Popen(
            [*map(str, command), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started,
    ):
        assert started.stderr is not None
        next(line for line in started.stderr if "preflight" in line)
        commands = []
        for wait_s, value_s in zip(CHANGED_AFTER_S, (OTHER_S, USUAL_S), strict=True):
            time.sleep(wait_s)
            commands.append(set_tcpfin(forgetful, value_s))
        out, err = started.communicate(timeout=LIMIT_S)
    assert started.returncode == 0, err
    return Ran(started.returncode, json.loads(out), directory, tuple(commands), delays)


@pytest.fixture(scope="module")
def bal01(ran: Ran) -> Measured:
    measured, _ = measured_of(ran.directory, "bal01")
    return measured


def test_both_changes_are_placed_to_between_two_packets(ran: Ran, bal01: Measured) -> None:
    changes: tuple[TimeoutChange, ...] = bal01.in_force.changes
    assert [(one.name, one.before_s, one.value_s) for one in changes] == [
        ("tcpfin", USUAL_S, OTHER_S),
        ("tcpfin", OTHER_S, USUAL_S),
    ]
    for change, (began_ns, ended_ns) in zip(changes, ran.commands_ns, strict=True):
        assert change.until_ns >= began_ns
        assert change.from_ns <= ended_ns
        assert change.until_ns - change.from_ns < 5e9 / RATE


def test_every_entry_goes_as_predicted(ran: Ran) -> None:
    (row,) = [row for row in ran.document["agreement"] if row["director"] == "bal01"]
    assert row["state_matches"] == row["state_samples"] > 1000
    assert row["entries_observed"] == row["entries_predicted"] == RATE * DURATION_S
    assert_expiries_predicted(ran.directory, "bal01", ran.delays, n=RATE * DURATION_S, limit_s=0.15)


def test_the_curve_is_the_predicted_one(ran: Ran) -> None:
    (row,) = [row for row in ran.document["agreement"] if row["director"] == "bal01"]
    assert row["inactive_max_error"] is None or row["inactive_max_error"] <= 2
    assert row["disagreement_polls"] <= 2
    assert "prediction-differs" not in {one["id"] for one in ran.document["findings"]}


def test_each_timeout_has_its_row_and_measures_itself(ran: Ran) -> None:
    rows = {row["timeout_s"]: row for row in ran.document["lifetimes"]}
    assert set(rows) == {USUAL_S, OTHER_S}
    (first_begun, first_ended), (then_begun, then_ended) = ran.commands_ns
    least, most = (then_begun - first_ended) / 1e9 * RATE, (then_ended - first_begun) / 1e9 * RATE
    assert least - 2 <= rows[OTHER_S]["n"] <= most + 2
    for value_s, row in rows.items():
        measured = row["timeout_measured_s"]
        assert (
            abs(measured["value"] - value_s) <= measured["uncertainty"] < ran.delays.allowed_s(0.35)
        )
    assert rows[USUAL_S]["timeout_source"] == "ipvsadm"


def test_the_change_is_a_finding(ran: Ran) -> None:
    (found,) = [one for one in ran.document["findings"] if one["id"] == "timeout-changed-midway"]
    for value_s, words in ((OTHER_S, "tcpfin 10 to 5 s"), (USUAL_S, "tcpfin 5 to 10 s")):
        assert words in found["evidence"] or f"--set 900 {value_s} 300" in found["evidence"]
    assert "in FIN_WAIT under 5 s" in found["evidence"]
    assert "in FIN_WAIT under 10 s" in found["evidence"]
