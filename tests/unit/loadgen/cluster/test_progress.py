"""What is known of a worker, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadgen.cluster.clocks import WorkerOffset
from loadgen.cluster.connection import ConnectedWorker
from loadgen.cluster.crew import Member
from loadgen.cluster.division import divide
from loadgen.cluster.progress import WorkerProgress, merge
from loadgen.cluster.worker.messages import Pulse
from loadgen.load.engines.tally import Tally, TargetTally
from loadgen.load.plan import ClosedModel, LoadPlan
from loadgen.target import Target

PLAN = LoadPlan(
    target=Target(vip="192.0.2.1", port=80, protocol="TCP"),
    arrivals=ClosedModel(requests=101, concurrency=4),
)
PULSE = Pulse(
    under_way=0,
    ended=7,
    latest_ns=30,
    first_ns=100,
    last_ns=900,
    errors={"refused": 2},
    ended_by_target=[7],
    failed_by_target=[2],
    sent=False,
    crashed=False,
    expired=False,
    unrecorded=False,
)


def worker(plan: LoadPlan = PLAN) -> WorkerProgress:
    member = Member(
        number=2,
        worker=ConnectedWorker(name="w2", address="tls://10.0.0.2:4000", host="10.0.0.2"),
        host="client2",
        offset=WorkerOffset(offset_ns=2_500_000, uncertainty_ns=400_000),
        share=divide(plan, [(), ()])[0],
        captures=True,
    )
    return WorkerProgress(member, heard_ns=5)


def test_a_worker_that_sent_all_lost_nothing() -> None:
    known = worker()
    known.hear(replace(PULSE, sent=True))
    known.gathered = 51

    assert known.is_over
    assert known.manifest() == {
        "name": "w2",
        "host": "client2",
        "share": 0.5,
        "planned": 51,
        "sources": [],
        "clock_offset_s": 0.0025,
        "clock_uncertainty_s": 0.0004,
        "sent": 51,
        "lost": 0,
        "lost_at_ns": None,
        "why": None,
    }


def test_a_lost_worker_lost_what_is_not_recorded_since_its_last_word() -> None:
    known = worker()
    known.gathered = 20

    assert known.lose("died")
    assert not known.lose("stalled")
    row = known.manifest()
    assert (row["sent"], row["lost"], row["lost_at_ns"], row["why"]) == (20, 31, 5, "died")
    assert "w2 lost (its process or host ended) after 0 of 51 requests, 50%" in known.line


def test_what_an_interrupt_left_unsent_is_not_lost() -> None:
    known = worker()
    known.gathered = 20

    assert known.manifest()["lost"] == 0


def test_of_a_load_that_time_decides_the_loss_is_not_known() -> None:
    known = worker(replace(PLAN, arrivals=ClosedModel(duration_s=5.0, concurrency=4)))
    known.lose("stalled")

    assert known.manifest()["lost"] is None


def test_a_tally_is_the_sum_of_the_workers_counts() -> None:
    tally, targets = Tally(), TargetTally(PLAN)
    tally.errors["old"] = 9
    targets.ended += 9

    second = replace(PULSE, ended=3, first_ns=50, latest_ns=10, last_ns=None, ended_by_target=[3])

    merge(tally, targets, [PULSE, second])

    assert (tally.ended, tally.failed, tally.latest_ns) == (10, 4, 30)
    assert (tally.first_ns, tally.last_ns) == (50, 900)
    assert dict(tally.errors) == {"refused": 4}
    assert (targets.ended.tolist(), targets.failed.tolist()) == ([10], [4])


def test_a_tally_of_no_worker_is_empty() -> None:
    tally, targets = Tally(), TargetTally(PLAN)

    merge(tally, targets, [])

    assert (tally.ended, tally.first_ns, tally.rate_per_s) == (0, None, None)
    assert (targets.ended.tolist(), targets.failed.tolist()) == ([0], [0])


@pytest.mark.parametrize("name", ["died", "stalled", "scheduler"])
def test_a_lost_worker_is_over(name: str) -> None:
    known = worker()

    assert not known.is_over
    known.lose(name)  # type: ignore[arg-type]
    assert known.is_over
