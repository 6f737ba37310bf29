"""The workers that will send: what is asked of each, and what each gets."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count, groupby
from typing import TYPE_CHECKING, Any

import pytest

import loadgen
from loadgen.cluster.address import ClusterAddress
from loadgen.cluster.connection import ConnectedWorker, WorkerLost
from loadgen.cluster.crew import ClusterOptions, assembled
from loadgen.cluster.worker.messages import About
from loadgen.director.links.link import parse_link
from loadgen.errors import UsageProblem
from loadgen.load.plan import ClosedModel, LoadPlan
from tests.unit.loadgen.cluster.stand_in import StandIn, connected
from tests.unit.loadgen.cluster.test_progress import PLAN
from tests.unit.waiting import turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadgen.cluster.crew import Crew

SIX = replace(PLAN, arrivals=ClosedModel(requests=60, concurrency=6))
HOUR_NS = 3600 * 10**9


def about(name: str, network: str = "", *held: str) -> About:
    return About(
        version=loadgen.__version__,
        host=f"host of {name}",
        boot="",
        network=network,
        held=frozenset(held),
    )


def now(_address: str) -> int:
    return time.time_ns()


@pytest.fixture
def crew_from(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The crew of a plan, of a cluster that answers as told."""

    def assemble(
        cluster: StandIn, plan: LoadPlan = SIX, *directors: str, said: list[str] | None = None
    ) -> Crew:
        @asynccontextmanager
        async def there(_: object) -> AsyncIterator[StandIn]:
            yield cluster

        async def main() -> Crew:
            monkeypatch.setattr("loadgen.cluster.crew.connected", there)
            options = ClusterOptions(
                address=ClusterAddress(scheduler="tls://x:1"), max_clock_offset_s=1e9
            )
            say = (said if said is not None else []).append
            links = [parse_link(spec) for spec in directors]
            async with assembled(plan, options, say, links) as crew:
                return crew

        return asyncio.run(main())

    return assemble


def test_the_first_worker_of_each_network_captures_and_no_other(crew_from: Any) -> None:
    networks = {"a": "one", "b": "one", "c": "two", "d": "", "e": "", "f": "two"}
    answers = {"about": lambda name, _: about(name, networks[name]), "time_ns": now}

    crew = crew_from(StandIn(connected(*networks), answers))

    captures = {member.worker.name: member.captures for member in crew.members}
    assert captures == {"a": True, "b": False, "c": True, "d": True, "e": True, "f": False}


def test_a_worker_that_sends_nothing_does_not_capture_for_others(crew_from: Any) -> None:
    answers = {"about": lambda name, _: about(name, "one"), "time_ns": now}
    plan = replace(PLAN, arrivals=ClosedModel(requests=9, concurrency=2))

    crew = crew_from(StandIn(connected("a", "b", "c"), answers), plan)

    assert [member.captures for member in crew.members] == [True, False]
    assert crew.spare == 1


def test_workers_of_one_name_keep_their_own_facts_clocks_and_addresses(crew_from: Any) -> None:
    workers = [ConnectedWorker(name="x", address=f"tls://{k}:1", host=f"{k}") for k in "ab"]
    held = {"tls://a:1": "192.0.2.7", "tls://b:1": "192.0.2.8"}
    answers = {
        "about": lambda address, _: about(address, "", held[address]),
        "time_ns": lambda address: time.time_ns() + HOUR_NS * (address == "tls://b:1"),
    }

    crew = crew_from(StandIn(workers, answers), replace(SIX, sources=tuple(held.values())))

    assert [member.host for member in crew.members] == ["host of tls://a:1", "host of tls://b:1"]
    assert [member.share.sources for member in crew.members] == [("192.0.2.7",), ("192.0.2.8",)]
    offsets = [member.offset for member in crew.members]
    assert [abs(o.offset_ns - k * HOUR_NS) <= o.uncertainty_ns for k, o in enumerate(offsets)] == [
        True,
        True,
    ]
    assert [member.captures for member in crew.members] == [True, True]


def test_workers_are_asked_for_their_facts_at_once_and_for_the_time_one_by_one(
    crew_from: Any,
) -> None:
    did: list[str] = []

    async def facts(name: str, _: object) -> About:
        did.append("asked")
        await turns()
        did.append("answered")
        return about(name)

    cluster = StandIn(connected("a", "b", "c"), {"about": facts, "time_ns": now})
    crew_from(cluster)

    assert did == ["asked"] * 3 + ["answered"] * 3
    clocks = [address for address, what in cluster.asked if what == "time_ns"]
    assert [address for address, _ in groupby(clocks)] == ["a", "b", "c"]


def everywhere(*names: str) -> StandIn:
    """A cluster of these workers, each of a network of its own."""
    return StandIn(connected(*names), {"about": lambda name, _: about(name), "time_ns": now})


def test_a_worker_whose_own_machine_is_a_director_sends_nothing(crew_from: Any) -> None:
    said: list[str] = []

    crew = crew_from(
        everywhere("a", "lb1", "lb2", "z"),
        SIX,
        *("worker:lb1", "two=worker:lb2", "worker:z,ssh://root@lb3", "ssh://lb4"),
        said=said,
    )

    assert [(each.number, each.worker.name) for each in crew.members] == [(1, "a"), (2, "z")]
    assert sum(each.share.requests or 0 for each in crew.members) == 60
    assert [each.worker.name for each in crew.workers] == ["a", "lb1", "lb2", "z"]
    assert crew.spare == 0
    assert said[-1] == "polled by workers: lb1 by lb1, two by lb2, lb3 by z"


def test_a_director_of_a_worker_that_is_not_there_is_refused_with_those_that_are(
    crew_from: Any,
) -> None:
    names = [f"client{number}" for number in range(10)]
    with pytest.raises(UsageProblem) as caught:
        crew_from(everywhere(*names), SIX, "worker:client77")
    assert str(caught.value) == (
        "--director worker:client77: --cluster has no worker of that name; expected one of "
        "client0, client1, client2, client3, client4, client5, client6, client7, …"
    )


def test_workers_on_directors_alone_send_nothing(crew_from: Any) -> None:
    with pytest.raises(UsageProblem, match="every worker runs on a director"):
        crew_from(everywhere("lb1"), SIX, "worker:lb1")


@pytest.mark.parametrize(("workers", "trips"), [(4, 100), (40, 50), (120, 20)])
def test_clocks_of_many_workers_are_compared_by_fewer_round_trips(
    crew_from: Any, workers: int, trips: int
) -> None:
    drift_ns = count(0, 10**6)
    answers = {
        "about": lambda name, _: about(name),
        "time_ns": lambda _: time.time_ns() + next(drift_ns),  # never known well enough
    }
    cluster = StandIn(connected(*(f"w{number}" for number in range(workers))), answers)

    crew_from(cluster)

    assert sum(what == "time_ns" for _, what in cluster.asked) == workers * trips


def test_of_several_workers_that_cannot_run_loadgen_the_first_is_named(crew_from: Any) -> None:
    async def facts(name: str, _: object) -> About:
        if name == "b":
            await turns()
        if name != "a":
            raise WorkerLost("x")
        return about(name)

    with pytest.raises(UsageProblem, match="--cluster: b cannot run loadgen"):
        crew_from(StandIn(connected("a", "b", "c"), {"about": facts, "time_ns": now}))
