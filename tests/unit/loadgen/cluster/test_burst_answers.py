"""A burst over workers whose answers are given, without Dask: refusals, losses, the record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, get_args

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.capture.start import CaptureOptions
from loadgen.cluster.burst import ClusterBurst
from loadgen.cluster.clocks import WorkerOffset
from loadgen.cluster.connection import WorkerLost
from loadgen.cluster.progress import Why
from loadgen.cluster.worker.messages import Prepared, Pulse, Refusal, Stopped
from loadgen.errors import UsageProblem
from loadgen.load.plan import PlannedTarget, Request
from loadgen.target import Target
from tests.unit.loadgen.cluster.stand_in import StandIn, connected, crew_of
from tests.unit.loadgen.cluster.test_progress import PLAN, PULSE
from tests.unit.waiting import turns

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.load.plan import LoadPlan

LOST = WorkerLost("x")
SENT = replace(PULSE, sent=True)
WHOLE = Stopped(cpu_s=(1.0,), packets=7, dropped=1)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.cluster.burst.PULSE_EVERY_S", 0.0)


@dataclass
class Stand:
    """A burst of the workers ``a`` and ``b``."""

    cluster: StandIn
    burst: ClusterBurst
    said: list[str]
    path: Path
    writer: RecordingWriter

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [worker.manifest() for worker in self.burst.workers]

    @property
    def lost(self) -> list[str | None]:
        return [worker.why for worker in self.burst.workers]

    def asked(self, name: str) -> list[str]:
        return [address for address, what in self.cluster.asked if what == name]

    def sent(self) -> Recording:
        async def whole() -> None:
            async with self.burst:
                await self.burst.done()

        asyncio.run(whole())
        self.writer.close("completed")
        return Recording.open(self.path)


Make = Callable[..., Stand]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def stand(plan: LoadPlan = PLAN, size_bytes: int | None = None, **answers: Any) -> Stand:
        workers = connected("a", "b")
        good = {
            "prepare": lambda name, _: Prepared(folder=f"/nowhere/{name}", captures=True),
            "begin": True,
            "pulse": SENT,
            "stop": WHOLE,
            "part_files": [],
        }
        cluster, said = StandIn(workers, good | answers), list[str]()
        writer = RecordingWriter(tmp_path / "run", {"not_measured": []})
        burst = ClusterBurst(
            plan,
            writer,
            lambda _: None,
            said.append,
            crew=crew_of(cluster, plan, workers),
            captures=CaptureOptions(size_bytes=size_bytes),
        )
        return Stand(cluster, burst, said, tmp_path / "run", writer)

    return stand


@pytest.mark.parametrize(
    ("at_the_end", "at_least_ms"),
    [(lambda: time.time_ns() + 10**9, 999.0), (lambda: LOST, 2.0), (lambda: "noon", 2.0)],
    ids=["it was set by a second", "it does not answer", "it is no clock"],
)
def test_a_clock_that_moves_during_the_run_is_known_less_well(
    make: Make, at_the_end: Callable[[], object], at_least_ms: float
) -> None:
    stand = make(time_ns=lambda _: at_the_end())
    moving = stand.burst.workers[1]
    offset = WorkerOffset(offset_ns=-7_000_000, uncertainty_ns=2_000_000)
    moving.member = replace(moving.member, offset=offset)

    stand.sent()

    ours, its = stand.rows
    assert (ours["clock_offset_s"], ours["clock_uncertainty_s"]) == (0, 0)
    assert its["clock_offset_s"] == -0.007
    assert at_least_ms / 1e3 <= its["clock_uncertainty_s"] <= at_least_ms / 1e3 + 0.1
    assert set(stand.asked("time_ns")) == {"b"}  # the other one is on our own kernel
    assert stand.lost == [None, None]


REFUSALS: dict[Refusal | None, str] = {
    "not-allowed": "its host does not allow this plan",
    "folder": "it cannot record",
    "engine": "its engine does not start",
    None: "it does not answer",
}


def test_every_refusal_has_its_words() -> None:
    assert set(REFUSALS) - {None} == set(get_args(Refusal))


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_said_with_its_worker_and_all_are_dismissed(
    make: Make, refusal: Refusal | None
) -> None:
    no = Prepared(refusal=refusal) if refusal else LOST
    stand = make(prepare=lambda name, _: no if name == "b" else Prepared(folder="/nowhere/a"))

    with pytest.raises(UsageProblem, match=f"--cluster: b: {REFUSALS[refusal]}"):
        stand.sent()
    assert sorted(stand.asked("stop")) == ["a", "b"]
    assert stand.asked("remove") == ["a"]
    assert "begin" not in [what for _, what in stand.cluster.asked]


def test_a_worker_that_is_still_getting_ready_when_another_refuses_is_dismissed_too(
    make: Make,
) -> None:
    ready: list[str] = []

    async def prepare(name: str, _: object) -> Prepared:
        if name == "a":
            return Prepared(refusal="folder")
        await turns()
        ready.append(name)
        return Prepared(folder="/nowhere/b")

    stand = make(prepare=prepare, stop=lambda *_: ready.append("stop"))

    with pytest.raises(UsageProblem, match="--cluster: a: it cannot record"):
        stand.sent()
    assert ready == ["b", "stop", "stop"]
    assert stand.asked("remove") == ["b"]


def test_of_two_refusals_the_first_workers_is_said(make: Make) -> None:
    async def prepare(name: str, _: object) -> Prepared:
        if name == "a":
            await turns()
        return Prepared(refusal="engine" if name == "a" else "folder")

    with pytest.raises(UsageProblem, match="--cluster: a: its engine"):
        make(prepare=prepare).sent()


@pytest.mark.parametrize("meanwhile", ["prepare", "begin"])
def test_an_interrupt_before_the_start_dismisses_all(make: Make, meanwhile: str) -> None:
    stand = make()
    never = asyncio.Event

    async def main() -> None:
        stand.cluster.answers[meanwhile] = lambda *_: never().wait()
        beginning = asyncio.create_task(stand.burst.__aenter__())
        await turns()
        assert len(stand.asked(meanwhile)) == 2
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning

    asyncio.run(main())
    assert sorted(stand.asked("stop")) == ["a", "b"]


WHYS: dict[Why, dict[str, Any]] = {
    "crashed": {"pulse": replace(PULSE, crashed=True)},
    "unasked": {"pulse": replace(PULSE, expired=True)},
    "unrecorded": {"pulse": replace(PULSE, unrecorded=True)},
    "died": {"pulse": None},
    "not gathered": {"part_files": None},
    "stalled": {"pulse": LOST},
    "scheduler": {"pulse": LOST},
}


def test_every_loss_has_its_answer() -> None:
    assert set(WHYS) == set(get_args(Why))


@pytest.mark.parametrize("why", WHYS)
def test_a_worker_is_lost_for_what_it_answers(
    make: Make, monkeypatch: pytest.MonkeyPatch, why: Why
) -> None:
    monkeypatch.setattr("loadgen.cluster.burst.SILENT_S", -1.0)
    ((question, bad),) = WHYS[why].items()
    good: dict[str, Any] = {"pulse": SENT, "part_files": []}
    answers = {"a": repeat(good[question]), "b": chain([bad], repeat(good[question]))}
    stand = make(**{question: lambda name, *_: next(answers[name])})
    stand.cluster.state = "forgotten" if why == "scheduler" else "there"

    recording = stand.sent()

    assert stand.lost == [None, why]
    assert [row["lost"] for row in stand.rows] == [0, 50]
    assert recording.manifest.raw["workers"] == stand.rows
    assert stand.cluster.ended == (["b"] if why == "stalled" else [])
    assert len(stand.said) == 1
    lost = recording.table("events").query("kind == 'worker-lost'")
    assert lost["host"].tolist() == ([] if why == "not gathered" else ["b"])


@pytest.mark.parametrize(
    ("state", "silent_s", "why"),
    [
        ("there", 60.0, None),
        ("unknown", 60.0, None),
        ("gone", 60.0, "died"),
        ("forgotten", 60.0, "scheduler"),
        ("there", -1.0, "stalled"),
        ("unknown", -1.0, "scheduler"),
    ],
)
def test_a_silent_worker_is_lost_at_once_only_if_the_scheduler_says_so(
    make: Make, monkeypatch: pytest.MonkeyPatch, state: Any, silent_s: float, why: Why | None
) -> None:
    monkeypatch.setattr("loadgen.cluster.burst.SILENT_S", silent_s)
    answers = {"a": iter([SENT, SENT]), "b": iter([LOST, SENT, SENT])}
    stand = make(pulse=lambda name, *_: next(answers[name]))
    stand.cluster.state = state

    stand.sent()

    assert stand.lost == [None, why]
    assert stand.cluster.ended == (["b"] if why == "stalled" else [])


def several() -> LoadPlan:
    other = Target(vip="192.0.2.2", port=80, protocol="TCP")
    return replace(PLAN, others=(PlannedTarget(target=other, request=Request()),))


def test_a_vip_at_which_every_request_failed_is_looked_for_on_the_link(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def state(_: str) -> str:
        return "FAILED"

    monkeypatch.setattr("loadgen.load.engines.activity.neighbour_state", state)
    pulses: dict[str, Pulse] = {
        "a": replace(SENT, ended_by_target=[3, 2], failed_by_target=[0, 2]),
        "b": replace(SENT, ended_by_target=[2, 3], failed_by_target=[1, 3]),
    }

    stand = make(several(), pulse=lambda name, *_: pulses[name])
    events = stand.sent().table("events")

    assert [text for text in events["detail"] if "FAILED" in text] == ["192.0.2.2 FAILED"]


@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        (WHOLE, []),
        (replace(WHOLE, capture_failed=True), ["packets of b from some instant on"]),
        (replace(WHOLE, capture_deleted=True), ["packets of b before some instant"]),
        (
            replace(WHOLE, capture_failed=True, capture_deleted=True),
            ["packets of b before some instant", "packets of b from some instant on"],
        ),
    ],
)
def test_what_a_workers_capture_missed_is_not_measured(
    make: Make, stopped: Stopped, expected: list[str]
) -> None:
    stand = make(stop=lambda name, *_: stopped if name == "b" else WHOLE)
    stand.sent()

    more = stand.burst.more_manifest({"not_measured": []})

    assert [row["what"] for row in more["not_measured"]] == expected
    assert more["capture"] == {"host": "workers", "packets": 14, "dropped": 2}


def test_the_bound_of_a_capture_is_the_reason_for_what_was_deleted(make: Make) -> None:
    stand = make(size_bytes=4096, stop=replace(WHOLE, capture_deleted=True))
    stand.sent()

    rows = stand.burst.more_manifest({"not_measured": []})["not_measured"]

    assert {row["why"] for row in rows} == {"its capture is kept below 4096 bytes (--capture-size)"}


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"stop": None}, "packets of b from some instant on"),
        ({"stop": LOST}, "packets of b from some instant on"),
        ({"part_files": None}, "packets of b"),
    ],
    ids=["it began anew", "it was lost, and its part is here", "its part is not"],
)
def test_packets_that_are_not_here_are_not_measured(
    make: Make, bad: dict[str, Any], expected: str
) -> None:
    ((question, answer),) = bad.items()
    good: dict[str, Any] = {"stop": Stopped(cpu_s=()), "part_files": []}
    stand = make(**{question: lambda name, *_: answer if name == "b" else good[question]})
    stand.sent()

    rows = stand.burst.more_manifest({"not_measured": []})["not_measured"]

    assert [row["what"] for row in rows] == [expected]
