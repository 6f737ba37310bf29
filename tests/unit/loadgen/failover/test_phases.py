"""The fault comes at its time and is undone whatever happens."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.recording.directory import MANIFEST, RecordingWriter
from loadgen.errors import RunFailed, UsageProblem
from loadgen.failover.faults import CommandFault, command_fault
from loadgen.failover.phases import FaultSchedule, Hooks, Timing
from loadgen.session.run import run
from tests.unit.waiting import turns

if TYPE_CHECKING:
    from pathlib import Path

SHORT = Timing(before_s=0.05, after_s=0.05, tail_s=0.05)

NOTHING = Hooks()


@dataclass
class Noted:
    """A fault that writes down what was done to it."""

    fails: bool = False
    undoable: bool = True
    slow_turns: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    done: list[str] = field(default_factory=list)
    name: str = "bal01: link-down"
    undoing_s: float = 0.0
    where: str | None = None

    async def do(self) -> None:
        self.begun.set()
        await turns(self.slow_turns)
        if self.fails:
            raise RunFailed("bal01: it would not")
        self.done.append("do")

    async def undo(self) -> None:
        self.done.append("undo")


def course(fault: Any, path: Path, timing: Timing = SHORT, hooks: Hooks = NOTHING) -> FaultSchedule:
    recording = RecordingWriter(path, {"failover": {"fault": fault.name}})
    return FaultSchedule(fault, timing, recording, lambda _: None, hooks)


def failover_manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    return dict(manifest["failover"])


def test_it_is_done_and_undone_and_the_instants_are_recorded(tmp_path: Path) -> None:
    fault = Noted()
    made = course(fault, tmp_path / "run")
    asyncio.run(run([made], RecordingWriter(tmp_path / "other", {})))
    said = failover_manifest(tmp_path / "run")
    assert fault.done == ["do", "undo"]
    assert said["ordered_ns"] < said["done_ns"] < said["undo_ordered_ns"] < said["undone_ns"]


def test_a_run_that_is_cut_short_is_undone_even_if_the_fault_is_half_done(tmp_path: Path) -> None:
    fault = Noted(slow_turns=20)

    async def cut_short() -> None:
        async with course(fault, tmp_path / "run"):
            await fault.begun.wait()

    asyncio.run(cut_short())
    assert fault.done == ["do", "undo"]


def test_what_was_not_begun_is_not_undone(tmp_path: Path) -> None:
    fault = Noted()

    async def cut_short() -> None:
        async with course(fault, tmp_path / "run", replace(SHORT, before_s=60)):
            await turns()

    asyncio.run(cut_short())
    assert fault.done == []


def test_a_fault_that_cannot_be_done_makes_the_run_invalid(tmp_path: Path) -> None:
    fault = Noted(fails=True)
    asyncio.run(run([course(fault, tmp_path / "run")], RecordingWriter(tmp_path / "other", {})))
    assert failover_manifest(tmp_path / "run")["why_insane"] == ["bal01: it would not"]
    assert fault.done == ["undo"]  # half of it may have been done


def test_hooks_come_around_the_fault(tmp_path: Path) -> None:
    fault = Noted()

    async def first() -> None:
        fault.done.append("first")

    async def second() -> None:
        fault.done.append("second")

    made = course(
        fault, tmp_path / "run", hooks=Hooks(first=first, second=second, speak=lambda: None)
    )
    asyncio.run(run([made], RecordingWriter(tmp_path / "other", {})))
    assert fault.done == ["first", "do", "second", "undo"]


def test_a_command_is_run_by_its_words_not_by_a_shell(tmp_path: Path) -> None:
    made = tmp_path / "a;b $HOME"
    fault = command_fault(f"touch '{made}'", None)
    asyncio.run(fault.do())
    assert made.exists()
    assert not fault.undoable


@pytest.mark.parametrize(
    ("argv", "says"),
    [((sys.executable, "-c", "raise SystemExit(3)"), "exit code 3"), (("/nowhere/x",), "No such")],
)
def test_a_command_that_fails_says_so_in_one_line(argv: tuple[str, ...], says: str) -> None:
    with pytest.raises(RunFailed, match=says):
        asyncio.run(CommandFault(argv, ()).do())


@pytest.mark.parametrize("text", ["", "   ", "ssh 'x"])
def test_commands_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="--fault-command"):
        command_fault(text, None)
