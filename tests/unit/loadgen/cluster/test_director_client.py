"""A director that a worker asks: the worker's functions are called here, a real shell answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.cluster.clocks import WorkerOffset
from loadgen.cluster.connection import ConnectedWorker, WorkerLost
from loadgen.cluster.crew import KnownWorker
from loadgen.cluster.director_client import (
    WorkerDirectorClient,
    director_client_of,
    in_our_clock,
)
from loadgen.cluster.worker import links
from loadgen.cluster.worker.links import ask_director, leave_director
from loadgen.cluster.worker.questions import Answer
from loadgen.director.links.link import parse_link
from loadgen.director.links.shell import AnswerTooLong, LinkLost
from tests.unit.loadgen.cluster.stand_in import StandIn, connected, crew_of
from tests.unit.loadgen.cluster.test_progress import PLAN
from tests.unit.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LINK = parse_link("lb1=worker:w,exec:env")
HERE = {
    "ask_director": lambda _, question: ask_director(question),
    "leave_director": lambda _, run, link: leave_director(run, link),
}
SAME = WorkerOffset(offset_ns=0, uncertainty_ns=0)
Result = TypeVar("Result")


def with_client(
    use: Callable[[WorkerDirectorClient], Awaitable[Result]],
    cluster: StandIn | None = None,
    offset: WorkerOffset = SAME,
) -> Result:
    """A client of a worker of the given cluster, or of one that answers as it should."""
    cluster = cluster or StandIn(connected("w"), dict(HERE))

    async def main() -> Result:
        (worker,) = connected("w")
        crew = replace(
            crew_of(cluster, PLAN, [worker]), workers=(KnownWorker(worker=worker, offset=offset),)
        )
        client = director_client_of(LINK, crew)
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(main())


def test_a_worker_opens_asks_and_closes_the_link() -> None:
    cluster = StandIn(connected("w"), dict(HERE))

    async def use(client: WorkerDirectorClient) -> tuple[str, set[str]]:
        await client.open()
        answer = await client.ask("echo $((6 * 7))", timeout_s=LIMIT_S)
        await client.close()
        return answer.text, set(client.programs)

    text, programs = with_client(use, cluster)

    assert text == "42\n"
    assert "sed" in programs
    assert cluster.asked == [("w", "ask_director")] * 2 + [("w", "leave_director")]
    assert links.held_links == {}


def test_a_link_that_never_was_opened_is_not_closed_at_the_worker() -> None:
    cluster = StandIn(connected("w"), dict(HERE))

    async def use(_: WorkerDirectorClient) -> None:
        return

    with_client(use, cluster)

    assert cluster.asked == []


def test_a_director_that_the_worker_does_not_reach_is_lost_with_the_reason() -> None:
    async def use(client: WorkerDirectorClient) -> None:
        await client.ask("echo", timeout_s=LIMIT_S)  # by a worker that has not opened it

    with pytest.raises(LinkLost, match=r"^worker:w,exec:env: not connected$") as caught:
        with_client(use)
    assert caught.value.recorded == "not connected"


@pytest.mark.parametrize(
    ("answer", "recorded"),
    [
        (WorkerLost("x"), "no answer from the worker"),
        (None, "no answer from the worker"),
        (Answer(value=b"nothing of ours"), "no answer from the worker"),
        (Answer(lost="\x1b[2Jssh: Connection refused\n\n"), "Connection refused"),
        (Answer(lost="lb1: an answer of more than 4 MB"), "an answer of more than 4 MB"),
    ],
)
def test_whatever_else_a_worker_answers_is_a_lost_link(answer: object, recorded: str) -> None:
    async def use(client: WorkerDirectorClient) -> None:
        await client.poll("services", timeout_s=1)

    with pytest.raises(LinkLost) as caught:
        with_client(use, StandIn(connected("w"), {"ask_director": answer}))
    assert caught.value.recorded == recorded
    assert str(caught.value).isprintable()


def test_an_answer_that_is_too_long_is_one_here_too() -> None:
    async def use(client: WorkerDirectorClient) -> None:
        await client.open()
        await client.ask("seq 1000", timeout_s=LIMIT_S, most_bytes=100)

    with pytest.raises(AnswerTooLong):
        with_client(use)


@pytest.mark.parametrize(
    "there", [[], [ConnectedWorker(name="w", address="elsewhere", host="another host")]]
)
def test_a_worker_is_not_there_unless_one_of_its_name_is_on_its_host(
    there: list[ConnectedWorker],
) -> None:
    with pytest.raises(LinkLost, match="the worker is not there"):
        with_client(WorkerDirectorClient.open, StandIn(there, dict(HERE)))


def test_a_worker_that_took_anothers_place_on_its_host_goes_on() -> None:
    cluster = StandIn([ConnectedWorker(name="w", address="w:2", host="w")], dict(HERE))

    with_client(WorkerDirectorClient.open, cluster)

    assert {address for address, _ in cluster.asked} == {"w:2"}


def test_a_link_that_nobody_asks_about_any_more_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "LEASE_S", 0.05)
    monkeypatch.setattr(links, "_LOOK_EVERY_S", 0.01)

    async def use(client: WorkerDirectorClient) -> None:
        await client.open()
        await client.ask("sleep 0.2", timeout_s=LIMIT_S)  # longer than the lease, and waited for
        (held,) = links.held_links.values()
        assert await until(lambda: not links.held_links)
        assert await until(lambda: held.is_closed)

    with_client(use)


def test_a_question_that_is_given_up_is_not_answered_by_the_next_one() -> None:
    async def use(client: WorkerDirectorClient) -> str:
        await client.open()
        given_up = asyncio.create_task(client.ask("sleep 0.1; echo first", timeout_s=LIMIT_S))
        await asyncio.sleep(0.03)
        given_up.cancel()
        return (await client.ask("echo second", timeout_s=LIMIT_S)).text

    async def apart(_: str, question: Any) -> Any:
        """As Dask does it: what is begun at a worker goes on there."""
        return await asyncio.shield(asyncio.create_task(ask_director(question)))

    cluster = StandIn(connected("w"), {**HERE, "ask_director": apart})
    assert with_client(use, cluster) == "second\n"


HOUR_NS = 3600 * 10**9


def test_instants_are_in_our_clock_and_as_sure_as_the_workers_is() -> None:
    cluster = StandIn(connected("w"), dict(HERE))

    async def use(client: WorkerDirectorClient) -> tuple[int, int]:
        await client.open()
        ask = cluster.answers["ask_director"]

        async def an_hour_ahead(address: str, question: Any) -> Answer:
            await asyncio.sleep(0.03)
            answer = await ask(address, question)
            await asyncio.sleep(0.03)
            value = answer.value
            return Answer(
                value=type(value)(
                    content=value.content,
                    asked_ns=value.asked_ns + HOUR_NS,
                    answered_ns=value.answered_ns + HOUR_NS,
                )
            )

        cluster.answers["ask_director"] = an_hour_ahead
        began_ns = time.time_ns()
        answer = await client.ask("echo", timeout_s=LIMIT_S)
        assert began_ns + 28_000_000 < answer.asked_ns < answer.answered_ns
        return answer.answered_ns, time.time_ns()

    offset = WorkerOffset(offset_ns=HOUR_NS, uncertainty_ns=10**6)
    answered_ns, ended_ns = with_client(use, cluster, offset)

    assert answered_ns < ended_ns - 28_000_000


instants = st.integers(0, 10**6)


@given(instants, st.integers(0, 1000), st.integers(0, 1000), instants, st.integers(-500, 500))
def test_what_was_asked_lies_within_the_instants_found(
    asked: int, to_worker: int, took: int, offset: int, wrong: int
) -> None:
    """Whatever the clock's offset, if it is known to 500 ns."""
    there = (asked + to_worker + offset, asked + to_worker + took + offset)
    here = (asked, asked + to_worker + took + 7)

    found = in_our_clock(there, WorkerOffset(offset_ns=offset + wrong, uncertainty_ns=500), here)

    assert here[0] <= found[0] <= asked + to_worker
    assert asked + to_worker + took <= found[1] <= here[1]


@pytest.mark.parametrize("moved_ns", [-HOUR_NS, HOUR_NS])
def test_a_worker_whose_clock_was_set_leaves_our_own_instants(moved_ns: int) -> None:
    there = (10**15 + moved_ns, 10**15 + moved_ns + 5)

    assert in_our_clock(there, SAME, (10**15 - 7, 10**15 + 9)) == (10**15 - 7, 10**15 + 9)


@pytest.mark.parametrize("moved_ns", [-3 * 10**9, 3 * 10**9])
def test_so_does_one_that_was_set_by_less_than_a_poll_took(moved_ns: int) -> None:
    asked_ns, answered_ns = 10**15, 10**15 + 6_902_000_000
    there = (asked_ns + 10**6 + moved_ns, answered_ns - 10**6 + moved_ns)

    assert in_our_clock(there, SAME, (asked_ns, answered_ns)) == (asked_ns, answered_ns)
