"""A sweep of a real director: points on the model's curve, and the old timeouts back, always."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import click
import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.commands.loadgen import group
from loadgen.lab.state import lab_names
from tests.lab.sweeping import BIN, VIP, begin, end_after, leave_tcpfin, present, start, with_state

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.lab.lab import Lab

LIMIT_S = 120.0
DEFAULTS = Timeouts()


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def until_tcpfin(lab: Lab, seconds: int) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not all(found and found.tcpfin_s == seconds for found in present(lab).values()):
        assert time.monotonic() < deadline_s, present(lab)
        time.sleep(0.2)


def test_the_points_lie_on_the_models_curve_and_the_old_timeouts_are_back(
    lab: Lab, state: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    flags = ["--tcpfin", "4,6", "-q", "20", "-z", "10s", "--json", "-o", str(folder)]
    out, err = (swept := start(lab, state, "sweep", *flags)).communicate(timeout=LIMIT_S)
    assert swept.returncode == 0, err
    assert present(lab) == dict.fromkeys(lab.director_names, DEFAULTS)
    found = json.loads(out)
    assert [point["tcpfin_s"] for point in found["points"]] == [4, 6]
    for point in found["points"]:
        assert point["failed"] == 0
        assert point["state"] == "FIN_WAIT"
        assert point["timeout_agrees"]
        assert point["peak_inactive"]["agrees"]
        assert point["waits"]["connections"] == point["sent"] == 200
    assert found["points"][0]["steady_inactive"]["agrees"]
    assert found["knee"]["tcpfin_s"] == 4
    assert (folder / "sweep.html").stat().st_size > 100_000
    again = subprocess.run(
        [str(BIN / "analyzer"), "sweep", "--json", "-o", str(tmp_path / "again.html"), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(again.stdout) == found


def report_of(folder: Path) -> str:
    """What ``analyzer sweep`` says of a sweep that was cut off, on one line."""
    command = [str(BIN / "analyzer"), "sweep", str(folder)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(shown.stdout.split())


def test_after_kill_9_the_next_command_puts_the_timeouts_back_and_says_so(
    lab: Lab, state: Path, tmp_path: Path
) -> None:
    flags = ["--tcpfin", "5,7", "-n", "5", "-o", str(tmp_path / "killed")]
    killed = start(lab, state, "sweep", *flags)
    until_tcpfin(lab, 5)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert present(lab) == dict.fromkeys(lab.director_names, Timeouts(tcpfin_s=5))
    reported = report_of(tmp_path / "killed")
    assert reported.startswith("No value was measured: 0 of 2 runs came to their end. ")
    for name in lab.director_names:
        assert f"{name} had 900 120 300 before" in reported
    burst = ["-n", "1", "--observe", "0", "-o", str(tmp_path / "next")]
    following = start(lab, state, "burst", *burst)
    _, err = following.communicate(timeout=LIMIT_S)
    assert following.returncode == 0, err
    for name in lab.director_names:
        assert f"{name}: tcp, tcpfin, udp are 900 120 300, as they were" in err
    assert present(lab) == dict.fromkeys(lab.director_names, DEFAULTS)
    assert not list(state.rglob("*.json"))


def test_each_way_of_forwarding_is_swept_in_a_lab_of_its_own_of_which_nothing_stays(
    state: Path, tmp_path: Path, lab_prefix: str
) -> None:
    flags = ["--tcpfin", "2", "-n", "20", "--forwarding", "tun,dr", "--lab", lab_prefix, "--json"]
    command = [str(BIN / "loadgen"), "sweep", "--vip", VIP, *flags, "-o", str(tmp_path / "ways")]
    swept = subprocess.run(command, env=with_state(state), capture_output=True, text=True)
    assert swept.returncode == 0, swept.stderr
    found = json.loads(swept.stdout)
    assert [(point["forwarding"], point["run"]) for point in found["points"]] == [
        ("tun", "tun-tcpfin-2"),
        ("dr", "dr-tcpfin-2"),
    ]
    for point in found["points"]:
        assert (point["sent"], point["failed"], point["timeout_name"]) == (20, 0, "tcpfin")
        assert point["timeout_agrees"]
    assert not {f"{lab_prefix}-tun", f"{lab_prefix}-dr"} & set(lab_names())


COMMANDS = {
    "burst": ("--vip", VIP, "--no-capture"),
    "collect": (),
    "failover": ("--vip", VIP, "--exercise", "--no-capture"),
    "sweep": ("--vip", VIP, "--tcpfin", "9", "-n", "1", "--no-capture"),
    "verify": (),
}


def test_every_command_that_meets_directors_is_in_the_table() -> None:
    context = click.Context(group)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    meeting = {
        name: {option.name for option in command.params}
        for name, command in commands.items()
        if command and any(option.name == "directors" for option in command.params)
    }
    assert set(meeting) == set(COMMANDS)
    assert all("left_timeouts" in options for options in meeting.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_any_command_gives_back_what_was_left_first_unless_asked_to_keep_it(
    lab: Lab, state: Path, tmp_path: Path, command: str
) -> None:
    def run_until(words: str, *flags: str) -> None:
        output = () if command == "verify" else ("-o", str(tmp_path / f"run{len(flags)}"))
        end_after(words, begin(lab, state, command, *COMMANDS[command], *flags, *output))

    name = leave_tcpfin(lab, state, 8)
    run_until("kept for now (--keep-timeouts)", "--keep-timeouts")
    assert present(lab)[name] == Timeouts(tcpfin_s=8)
    run_until(f"{name}: tcp, tcpfin, udp are 900 120 300, as they were")
    assert present(lab) == dict.fromkeys(lab.director_names, DEFAULTS)
    assert not list(state.rglob("*.json"))


def test_a_signal_ends_a_sweep_with_the_old_timeouts_back(
    lab: Lab, state: Path, tmp_path: Path
) -> None:
    flags = ["--tcpfin", "5", "-n", "5", "-o", str(tmp_path / "ended")]
    ended = start(lab, state, "sweep", *flags)
    until_tcpfin(lab, 5)
    ended.send_signal(signal.SIGTERM)
    _, err = ended.communicate(timeout=LIMIT_S)
    assert ended.returncode == 130, err
    assert present(lab) == dict.fromkeys(lab.director_names, DEFAULTS)
    assert report_of(tmp_path / "ended").startswith("No value was measured: 0 of ")
