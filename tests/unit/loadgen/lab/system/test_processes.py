"""Processes are identified by number and start, programs say what went wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab.kernels import uml
from loadgen.lab.system import netns, preflight, processes
from loadgen.lab.system.processes import Process, identify
from loadgen.lab.system.programs import MARK, marked, run_program
from loadgen.lab.topology.model import exercise

if TYPE_CHECKING:
    from pathlib import Path

OURS = f"unit-test-{os.getpid()}-"
"""The mark of what these tests start: others may be running beside them."""

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_this_process_lives_and_another_of_its_number_does_not() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert me.is_alive
    assert not Process(pid=me.pid, started_ticks=me.started_ticks - 1).is_alive


def test_a_zombie_does_not_live() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identify(child.pid) is None
    child.wait()


def test_a_marked_process_is_found_and_ended_whatever_it_stands_in() -> None:
    child = subprocess.Popen(SLEEP, env={**os.environ, MARK: OURS})
    found = processes.of_lab(OURS, set())
    assert found == {child.pid}
    assert processes.of_lab(OURS[:-1], set()) == set()  # another lab's, whose name is a beginning
    processes.stop(lambda: processes.of_lab(OURS, set()) - _zombies(child))
    assert child.wait() != 0


def test_the_machines_own_namespace_is_never_a_labs() -> None:
    mine = processes.network_of(1) or processes.network_of(os.getpid())
    assert mine is not None
    if processes.network_of(1) is not None:
        assert processes.of_lab("unit-test", {mine}) == set()


def test_programs_carry_the_labs_mark_while_it_is_made() -> None:
    print_mark = [sys.executable, "-c", f"import os; print(os.environ.get({MARK!r}))"]
    with marked("unit-test"):
        assert run_program("a step", print_mark) == "unit-test\n"
    assert run_program("a step", print_mark) == "None\n"


def test_a_failing_step_says_which_command_and_what_it_printed_in_one_line() -> None:
    with pytest.raises(RunFailed) as caught:
        run_program("a step", ["sh", "-c", "echo one >&2; echo two >&2; exit 3"])
    assert str(caught.value).startswith("a step: sh -c ")
    assert str(caught.value).endswith(": one | two")


def test_a_program_that_is_not_there_is_one_line_too() -> None:
    with pytest.raises(RunFailed, match="a step: no-such-program: No such file or directory"):
        run_program("a step", ["no-such-program"])


def test_a_missing_program_is_named_with_its_package() -> None:
    packages = {"sh": "dash", "no-such-program": "some-package"}
    expected = ["no-such-program is not installed: apt install some-package"]
    assert list(preflight.missing_programs(packages)) == expected


def test_an_ordinary_user_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageProblem, match="run it as root"):
        preflight.check(exercise(), print)


def test_memory_goes_elsewhere_when_dev_shm_is_small(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(uml, "_suits", lambda place, _needed_mb: place == tmp_path)
    assert uml.choose_memory_directory("x", 256).parent == tmp_path


def test_no_room_for_memory_is_one_line() -> None:
    with pytest.raises(UsageProblem, match=r"neither /dev/shm nor .* MB free"):
        uml.choose_memory_directory("x", 10**9)


def test_an_unknown_namespace_cannot_be_entered() -> None:
    with pytest.raises(RunFailed, match="network namespace lg-no-such: No such file"):
        netns.enter("lg-no-such")


def _zombies(child: subprocess.Popen[bytes]) -> set[int]:
    return {child.pid} if identify(child.pid) is None else set()
