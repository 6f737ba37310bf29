"""What a lab keeps on disk, and that one process at a time changes it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import RunFailed
from loadgen.lab import state
from loadgen.lab.state import LabState
from loadgen.lab.system.processes import Process
from loadgen.lab.topology.model import exercise

if TYPE_CHECKING:
    from pathlib import Path

HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from loadgen.lab import state
state.ROOT = Path(sys.argv[1])
with state.lock("x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /run/loadgen of the test's own."""
    monkeypatch.setattr(state, "ROOT", tmp_path / "loadgen")
    return tmp_path / "loadgen"


@pytest.fixture
def lab_state() -> LabState:
    """A lab as it would be written."""
    return LabState(
        name="x",
        topology=exercise(),
        kernel="uml",
        kernel_release="6.1.176",
        started="2026-01-02T03:04:05+00:00",
        processes={name: Process(pid=17, started_ticks=4) for name in ("bal01", "bal02")},
        crashed=("bal02",),
    )


def test_a_state_is_read_as_it_was_written(root: Path, lab_state: LabState) -> None:
    root.mkdir()
    state.create_directory("x")
    state.write(lab_state)
    assert state.read("x") == lab_state
    assert state.lab_names() == ["x"]


def test_a_labs_directory_is_roots_alone(root: Path) -> None:
    root.mkdir()
    assert state.create_directory("x").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema_version": 99}',  # written by another version of the program
        '{"schema_version": 2, "name": "x"}',
    ],
)
def test_a_state_that_is_no_state_is_as_good_as_none(root: Path, text: str) -> None:
    root.mkdir()
    (state.create_directory("x") / "state.json").write_text(text)
    assert state.read("x") is None


def test_no_state_is_none(root: Path) -> None:
    assert state.read("x") is None
    assert state.lab_names() == []


def test_removal_takes_the_memory_directory_along(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    memory = tmp_path / "loadgen-x-abcd"
    memory.mkdir()
    (state.create_directory("x") / "memory").symlink_to(memory)
    state.remove("x")
    assert not memory.exists()
    assert state.lab_names() == []


def test_removal_never_follows_a_pointer_to_something_else(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    precious = tmp_path / "precious"
    precious.mkdir()
    (state.create_directory("x") / "memory").symlink_to(precious)
    state.remove("x")
    assert precious.exists()


def test_the_lock_leaves_no_file(root: Path) -> None:
    with state.lock("x"):
        assert (root / "x.lock").read_text() == str(os.getpid())
    assert not root.exists()


def test_a_second_process_learns_who_holds_the_lock(root: Path) -> None:
    argv = [sys.executable, "-c", HOLD_THE_LOCK, str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(RunFailed, match=f"by process {holder.pid}"), state.lock("x"):
            pass
        holder.kill()
    with state.lock("x"):  # the kernel let go when its holder was killed
        pass
