"""A run: activities begun in order, ended in reverse, and the recording closed whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.director.links.shell import LinkLost
from loadgen.errors import RunFailed
from loadgen.session import run as run_module
from loadgen.session.run import run
from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class Noted:
    """An activity that notes what is done to it, and does as the test asks."""

    def __init__(
        self,
        name: str,
        notes: list[str],
        *,
        fails_to_begin: bool = False,
        fails: bool = False,
        fails_to_end: bool = False,
        sends: signal.Signals | None = None,
    ) -> None:
        self.name, self.notes, self.sends = name, notes, sends
        self.fails_to_begin, self.fails, self.fails_to_end = fails_to_begin, fails, fails_to_end

    async def __aenter__(self) -> None:
        self.notes.append(f"{self.name} begins")
        if self.fails_to_begin:
            raise RunFailed("cannot begin")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.notes.append(f"{self.name} ends")
        if self.fails_to_end:
            raise RunFailed("cannot end")

    async def done(self) -> None:
        if self.fails:
            raise RunFailed("broke")
        if self.sends is not None:
            os.kill(os.getpid(), self.sends)
            await asyncio.Event().wait()


def run_all(activities: Sequence[Noted], path: Path) -> str:
    recording = RecordingWriter(path, {"ended": None})
    recording.append("events", {"at": 1, "kind": "kept"})
    return asyncio.run(run(activities, recording))


def ended(path: Path) -> str:
    found = Recording.open(path)
    assert found.table("events")["kind"].tolist() == ["kept"]  # nothing that was noted is lost
    assert isinstance(found.manifest.raw["ended_at_ns"], int)
    return str(found.manifest.raw["ended"])


def test_activities_begin_in_order_and_end_in_reverse(tmp_path: Path) -> None:
    notes: list[str] = []
    assert run_all([Noted("a", notes), Noted("b", notes)], tmp_path) == "completed"
    assert notes == ["a begins", "b begins", "b ends", "a ends"]
    assert ended(tmp_path) == "completed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting_and_not_the_recording(
    number: signal.Signals, tmp_path: Path
) -> None:
    notes: list[str] = []
    activities = [Noted("a", notes), Noted("b", notes, sends=number)]
    assert run_all(activities, tmp_path) == "interrupted"
    assert notes[2:] == ["b ends", "a ends"]
    assert ended(tmp_path) == "interrupted"


def test_after_the_run_signals_are_what_they_were(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run_all([Noted("a", [])], tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_activity_that_breaks_fails_the_run_and_the_others_are_ended(tmp_path: Path) -> None:
    notes: list[str] = []
    with pytest.raises(RunFailed, match="broke"):
        run_all([Noted("a", notes), Noted("b", notes, fails=True)], tmp_path)
    assert notes[2:] == ["b ends", "a ends"]
    assert ended(tmp_path) == "failed: broke"


def test_what_has_begun_is_ended_when_the_next_cannot_begin(tmp_path: Path) -> None:
    notes: list[str] = []
    with pytest.raises(RunFailed, match="cannot begin"):
        run_all([Noted("a", notes), Noted("b", notes, fails_to_begin=True)], tmp_path)
    assert notes == ["a begins", "b begins", "a ends"]
    assert ended(tmp_path) == "failed: cannot begin"


def test_an_activity_that_cannot_end_keeps_no_other_from_ending(tmp_path: Path) -> None:
    notes: list[str] = []
    with pytest.raises(RunFailed, match="cannot end"):
        run_all([Noted("a", notes), Noted("b", notes, fails_to_end=True)], tmp_path)
    assert notes[-1] == "a ends"
    assert ended(tmp_path) == "failed: cannot end"


def test_a_run_of_nothing_is_complete(tmp_path: Path) -> None:
    assert run_all([], tmp_path) == "completed"
    assert ended(tmp_path) == "completed"


def test_rows_reach_the_disk_while_the_run_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "FLUSH_EVERY_S", 0.001)

    class EntryPolls(Noted):
        async def done(self) -> None:
            assert await until(lambda: list(tmp_path.glob("events/*.parquet")))

    assert run_all([EntryPolls("a", [])], tmp_path) == "completed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("session=0123"), "ValueError"),
        (OSError(28, "No space left on device", "/srv/acme"), "No space left on device"),
        (LinkLost("alice@bastion: Permission denied"), "Permission denied"),
    ],
)
def test_what_ended_a_run_is_recorded_without_what_others_wrote(
    error: Exception, words: str, tmp_path: Path
) -> None:
    class Breaks:
        async def __aenter__(self) -> None:
            raise error

        async def __aexit__(self, *_: object) -> None: ...

        async def done(self) -> None: ...

    with pytest.raises(type(error)):
        asyncio.run(run([Breaks()], RecordingWriter(tmp_path, {"command": "burst"})))
    assert Recording.open(tmp_path).manifest.ended == f"failed: {words}"
