"""Signals end what is on, and only that; afterwards they do what they did before."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from loadgen.session.signals import Steps, on_signals
from tests.unit.waiting import turns

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _hangs_up() -> Iterator[None]:
    """As in a terminal, though the tests may run under nohup(1)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


async def send(number: signal.Signals) -> None:
    signal.raise_signal(number)
    await turns()


@pytest.mark.parametrize("number", NUMBERS)
def test_the_inner_one_acts_then_the_outer_one_again(number: signal.Signals) -> None:
    called: list[str] = []
    before = signal.getsignal(number)

    async def work() -> None:
        with on_signals(lambda: called.append("outer")):
            with on_signals(lambda: called.append("inner")):
                await send(number)
            await send(number)

    asyncio.run(work())
    assert called == ["inner", "outer"]
    assert signal.getsignal(number) in (before, signal.SIG_DFL, signal.default_int_handler)


def test_a_hangup_that_is_ignored_stays_so() -> None:
    called: list[str] = []

    async def work() -> None:
        with on_signals(lambda: called.append("hung up")):
            await send(signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(work())
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert called == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_the_step_and_the_steps_that_would_follow(number: signal.Signals) -> None:
    taken: list[str] = []

    async def step(name: str) -> str:
        await turns(1)
        taken.append(name)
        return name

    async def endless() -> str:
        await send(number)
        await asyncio.Event().wait()
        return "never"

    async def work() -> list[str | None]:
        steps = Steps(between=lambda: taken.append("between"))
        with on_signals(steps.end):
            said = [await steps.take(step("first")), await steps.take(endless())]
            said.append(await steps.take(step("third")))
            await send(number)
        return said

    assert asyncio.run(work()) == ["first", None, None]
    assert taken == ["first", "between"]


def test_a_step_that_fails_or_is_cancelled_by_another_is_not_swallowed() -> None:
    async def fail() -> None:
        raise OSError("broke")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def work() -> None:
        steps = Steps(between=lambda: None)
        with pytest.raises(OSError, match="broke"):
            await steps.take(fail())
        with pytest.raises(asyncio.CancelledError):
            await steps.take(cancelled())

    asyncio.run(work())
