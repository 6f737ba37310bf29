"""A fault that comes by itself is caught by the advertisements or by the load."""

from __future__ import annotations

import asyncio

import pytest

from loadgen.failover import catch
from loadgen.failover.catch import Catch
from loadgen.load.engines.tally import Tally
from tests.unit.waiting import LIMIT_S, turns


def caught(monkeypatch: pytest.MonkeyPatch, *, heard: list[tuple[int, int, str]]) -> bool:
    """Whether it is over after these advertisements (router, priority, sender)."""

    def deaf(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(catch, "_listener", deaf)
    monkeypatch.setattr(catch, "CHECK_EVERY_S", 0)

    async def live() -> bool:
        async with Catch("192.168.10.2", None, 0.0, lambda _: None) as made:
            for advert in heard:
                made.advertised(*advert)
            await turns()
            return made.over.is_set()

    return asyncio.run(live())


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([(41, 10, "a"), (41, 10, "a")], False),
        ([(41, 10, "a"), (42, 9, "b")], False),  # another router's master
        ([(41, 10, "a"), (41, 9, "b")], True),
        ([(41, 10, "a"), (41, 0, "a")], True),
    ],
)
def test_another_master_or_a_goodbye_is_a_fail_over(
    monkeypatch: pytest.MonkeyPatch, heard: list[tuple[int, int, str]], expected: bool
) -> None:
    assert caught(monkeypatch, heard=heard) is expected


def test_successes_that_cease_are_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch, "SILENCE_S", 0.2)
    tally = Tally()

    async def live() -> None:
        async with Catch("192.168.10.2", None, 0.0, lambda _: None) as made:
            tally.ended = 7
            made.follow(tally)
            await asyncio.wait_for(made.done(), LIMIT_S)

    asyncio.run(live())
