"""A run that crosses its own limit ends as by Ctrl-C, and says which limit it was."""

from __future__ import annotations

import asyncio
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from analyzer.checks.live import parse_limit
from loadgen.burst import abort as abort_module
from loadgen.burst.abort import AbortWatch, check_limits
from loadgen.errors import UsageProblem
from tests.unit.waiting import turns

if TYPE_CHECKING:
    from loadgen.sites import Site


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares without waiting."""
    monkeypatch.setattr(abort_module, "CHECK_EVERY_S", 0)


def watched(text: str, counts: list[tuple[int, int] | None], failed: int = 0) -> tuple[bool, Any]:
    """Whether the run was ended, and why, when the pollers saw these counts one by one."""
    interrupted = False

    async def main() -> AbortWatch:
        nonlocal interrupted
        loop, waiting = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, waiting.set)
        burst: Any = SimpleNamespace(
            ended=asyncio.Event(), tally=SimpleNamespace(ended=100, failed=failed)
        )
        poller: Any = SimpleNamespace(counts=None)
        watch = AbortWatch([parse_limit(text)], burst, [poller])
        async with watch:
            done = asyncio.create_task(watch.done())
            for count in counts:
                poller.counts = count
                await turns()
            burst.ended.set()
            await done
            await turns()
        interrupted = waiting.is_set()
        loop.remove_signal_handler(signal.SIGINT)
        return watch

    watch = asyncio.run(main())
    return interrupted, watch.why


def test_what_stays_within_lets_the_run_go_on() -> None:
    assert watched("inactive_peak>30", [None, (1, 30), (0, 9)]) == (False, None)


def test_the_run_ends_when_the_directors_hold_too_much() -> None:
    assert watched("inactive_peak>30", [None, (1, 31)]) == (True, "inactive_peak>30: 31")


def test_the_run_ends_when_too_many_failed() -> None:
    assert watched("failed_share>5%", [None], failed=7) == (True, "failed_share>5%: 0.07")


def test_a_limit_of_what_directors_hold_needs_one() -> None:
    alone = cast("Site", SimpleNamespace(directors=()))
    check_limits([parse_limit("failed>3")], alone)
    with pytest.raises(UsageProblem, match="no director is polled"):
        check_limits([parse_limit("inactive_peak>3")], alone)
