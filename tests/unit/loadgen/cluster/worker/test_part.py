"""A worker's part: what it leaves when it is refused, stopped or forgotten; rows in our clock."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import RecordingError
from analyzer.recording.directory import Recording
from analyzer.recording.tables import TABLES
from loadgen.capture.start import CaptureOptions
from loadgen.cluster.worker.messages import PartOrder, Prepared, Refusal, Stopped, part_name
from loadgen.cluster.worker.part import INSTANTS, Part, in_other_clock
from loadgen.errors import RunFailed, UsageProblem
from loadgen.load.engines.rows import NONE, WIDTH, Row
from loadgen.load.plan import PlannedTarget, Request
from loadgen.target import Target
from tests.unit.loadgen.cluster.test_progress import PLAN
from tests.unit.waiting import turns, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.load.engines.rows import Block
    from loadgen.load.plan import LoadPlan

INSTANT = [name in INSTANTS for name in Row._fields]


@given(
    st.integers(-(10**13), 10**13),
    st.lists(st.integers(-1, 2 * 10**18), min_size=WIDTH, max_size=WIDTH),
)
def test_known_instants_move_and_nothing_else_does(ahead_ns: int, values: list[int]) -> None:
    rows = np.array([values], np.int64)
    rows.flags.writeable = False

    (moved,) = in_other_clock(rows, ahead_ns).tolist()

    expected = [
        value - ahead_ns if is_instant and value != NONE else value
        for value, is_instant in zip(values, INSTANT, strict=True)
    ]
    assert moved == expected


def test_every_instant_of_a_request_is_one_that_moves() -> None:
    schema = TABLES["requests"]

    assert {field.name for field in schema if pa.types.is_timestamp(field.type)} == set(INSTANTS)


@dataclass
class Engine:
    """In place of the engine's processes.

    Attributes:
        trouble: raised when it is loaded.
        may_stop: it does not stop before.
        stopped: how often it was stopped, to the end.
    """

    trouble: BaseException | None = None
    may_stop: asyncio.Event | None = None
    loading: asyncio.Event | None = None
    stopped: int = 0
    take: Callable[[Block, Sequence[str]], None] | None = None

    def __call__(self, _plan: object, take: Any, _say: object) -> Engine:
        self.take = take
        return self

    async def load(self, _processes: int) -> None:
        if self.loading is not None:
            await self.loading.wait()
        if self.trouble is not None:
            raise self.trouble

    async def stop(self) -> None:
        if self.may_stop is not None:
            await self.may_stop.wait()
        self.stopped += 1

    def cpu_s(self) -> list[float | None]:
        return [1.5]

    def under_way(self) -> int:
        return 0


@dataclass
class Listener:
    """In place of a capture; it says how it ended."""

    trouble: Exception | None = None
    failure: str | None = None
    has_deleted: bool = False
    did: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        if self.trouble is not None:
            raise self.trouble
        self.did.append("entered")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.did.append("left")

    def manifest(self) -> dict[str, Any]:
        return {"packets": 7, "dropped": 1, "failure": self.failure}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that does nothing; folders are made below the test's."""
    engine = Engine()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("loadgen.cluster.worker.part.Workers", engine)
    monkeypatch.setattr("loadgen.cluster.worker.part.check_means", lambda _: None)
    monkeypatch.setattr("loadgen.cluster.worker.part.FLUSH_EVERY_S", 0.0)
    return engine


def captures_are(monkeypatch: pytest.MonkeyPatch, *listeners: Listener) -> None:
    monkeypatch.setattr(
        "loadgen.cluster.worker.part.open_captures", lambda *_, **__: list(listeners)
    )


def order(plan: LoadPlan = PLAN) -> PartOrder:
    captures = CaptureOptions()
    return PartOrder(
        run="ab", number=2, name="w", plan=plan, processes=1, offset_ns=0, captures=captures
    )


def refuse(refusal: Refusal, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a part be refused for one reason."""
    where = "loadgen.cluster.worker.part"

    def raising(error: Exception) -> Callable[..., object]:
        def raises(*_: object) -> None:
            raise error

        return raises

    if refusal == "not-allowed":
        monkeypatch.setattr(f"{where}.check_means", raising(UsageProblem("x")))
    elif refusal == "folder":
        monkeypatch.setattr(f"{where}.RecordingWriter", raising(RecordingError("x")))
    else:
        engine.trouble = RunFailed("x")


@pytest.mark.parametrize("refusal", ["not-allowed", "folder", "engine"])
def test_a_refusal_leaves_nothing_behind(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    refuse(refusal, engine, monkeypatch)

    assert asyncio.run(Part(order()).prepare()) == Prepared(refusal=refusal)
    assert not list(tmp_path.iterdir())
    assert engine.stopped == (1 if refusal == "engine" else 0)


def test_a_folder_of_somebody_else_is_refused_and_stays(engine: Engine, tmp_path: Path) -> None:
    theirs = tmp_path / part_name("ab", 2)
    theirs.mkdir()

    assert asyncio.run(Part(order()).prepare()) == Prepared(refusal="folder")
    assert theirs.is_dir()
    assert engine.stopped == 0


def test_an_error_of_a_capture_leaves_nothing_behind(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Listener(), Listener(trouble=OSError(errno.ENODEV, "x"))
    captures_are(monkeypatch, first, second)

    with pytest.raises(OSError, match="x"):
        asyncio.run(Part(order()).prepare())
    assert first.did == ["entered", "left"]
    assert engine.stopped == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_the_engine_loads_leaves_nothing_behind(
    engine: Engine, tmp_path: Path
) -> None:
    async def main() -> None:
        engine.loading = asyncio.Event()
        preparing = asyncio.create_task(Part(order()).prepare())
        await turns()
        assert list(tmp_path.iterdir())
        preparing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await preparing

    asyncio.run(main())
    assert engine.stopped == 1
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_asked_about_goes_on_and_one_that_is_not_ends(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now_s[0])
    monkeypatch.setattr("loadgen.cluster.worker.part.time", clock)
    captures_are(monkeypatch)

    async def main() -> Prepared:
        part = Part(order())
        prepared = await part.prepare()
        for at_s in (59.0, 118.0):
            now_s[0] = at_s
            await turns()
            assert not part.pulse(with_sources=False).expired
        now_s[0] = 178.0
        assert await until(lambda: engine.stopped)
        pulse = part.pulse(with_sources=False)
        assert (pulse.expired, pulse.crashed) == (True, False)
        await part.stop()
        return prepared

    prepared = asyncio.run(main())
    assert engine.stopped == 1
    assert Recording.open(Path(prepared.folder)).manifest.raw["ended"] == "completed"


def test_a_stop_while_the_lease_ends_a_part_waits_until_all_is_closed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    captures_are(monkeypatch, listener)
    monkeypatch.setattr("loadgen.cluster.worker.part.LEASE_S", 0.0)

    async def main() -> tuple[Prepared, Stopped]:
        engine.may_stop = asyncio.Event()
        part = Part(order())
        prepared = await part.prepare()
        assert await until(lambda: part.pulse(with_sources=False).expired)
        stopping = asyncio.create_task(part.stop())
        await turns()
        assert not stopping.done()
        engine.may_stop.set()
        return prepared, await stopping

    prepared, stopped = asyncio.run(main())
    assert stopped == Stopped(cpu_s=(1.5,), packets=7, dropped=1)
    assert engine.stopped == 1
    assert listener.did == ["entered", "left"]
    assert Recording.open(Path(prepared.folder)).manifest.raw["ended"] == "completed"


def test_a_stop_that_is_no_longer_waited_for_closes_everything_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures_are(monkeypatch)

    async def main() -> Stopped:
        engine.may_stop = asyncio.Event()
        part = Part(order())
        await part.prepare()
        first = asyncio.create_task(part.stop())
        await turns()
        first.cancel()
        await turns()
        engine.may_stop.set()
        return await part.stop()

    assert asyncio.run(main()) == Stopped(cpu_s=(1.5,))
    assert engine.stopped == 1


@pytest.mark.parametrize(
    ("listener", "failed", "deleted"),
    [
        (Listener(), False, False),
        (Listener(failure="somebody's words"), True, False),
        (Listener(has_deleted=True), False, True),
    ],
)
def test_what_a_capture_missed_is_said_at_the_end_without_words(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    listener: Listener,
    failed: bool,
    deleted: bool,
) -> None:
    captures_are(monkeypatch, listener)

    async def main() -> Stopped:
        part = Part(order())
        assert (await part.prepare()).captures
        return await part.stop()

    stopped = asyncio.run(main())
    assert (stopped.capture_failed, stopped.capture_deleted) == (failed, deleted)
    assert "words" not in repr(stopped)
    assert engine.stopped == 1


def test_a_pulse_counts_by_target(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    captures_are(monkeypatch)
    other = Target(vip="192.0.2.2", port=80, protocol="TCP")
    plan = replace(PLAN, others=(PlannedTarget(target=other, request=Request()),))
    rows = np.full((3, WIDTH), NONE, np.int64)
    rows[:, Row._fields.index("number")] = (0, 1, 3)
    rows[1, Row._fields.index("error")] = 0

    async def main() -> tuple[Sequence[int], Sequence[int]]:
        part = Part(order(plan))
        await part.prepare()
        assert engine.take is not None
        engine.take(rows, ["refused"])
        pulse = part.pulse(with_sources=False)
        await part.stop()
        return pulse.ended_by_target, pulse.failed_by_target

    assert asyncio.run(main()) == ([1, 2], [0, 1])
