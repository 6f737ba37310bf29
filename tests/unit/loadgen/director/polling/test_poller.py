"""A director is polled, lost and polled again: recorded texts in, rows out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from analyzer.recording.directory import RecordingWriter
from loadgen.director.links.shell import LinkLost
from loadgen.director.polling import counter_polls
from loadgen.director.polling.poller import Poller
from tests.unit.loadgen.director.fakes import (
    FIN_WAIT,
    FakeShell,
)
from tests.unit.loadgen.director.polling.builders_polls import (
    STATS,
    answer,
    polled,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("short_intervals")


def test_a_poll_lies_between_the_asking_and_the_answer(tmp_path: Path) -> None:
    _, recording = polled(FakeShell(*[answer() for _ in range(5)]), tmp_path)
    for at, asked, took_ms in rows(recording, "polls", "at", "asked", "took_ms"):
        assert asked <= at <= asked + pd.Timedelta(milliseconds=took_ms)


def test_the_offset_is_this_polls_reading_of_the_boot_less_the_first(tmp_path: Path) -> None:
    boot_s = time.time_ns() / 1e9 - 5000

    def now(_: str) -> str:
        if len(fake.asked) == 4:
            fake.texts.clear()
        return answer(at_s=time.time_ns() / 1e9 - boot_s)

    fake = FakeShell(now)
    boot_ns = round(boot_s * 1e9) - 3_000_000_000
    poller, recording = polled(fake, tmp_path, boot_ns=boot_ns)
    offsets = rows(recording, "polls", "offset_ms")
    assert len(offsets) == 4
    for (offset_ms,) in offsets:
        assert offset_ms == pytest.approx(3000, abs=100)
    assert poller.manifest()["boot_at_ns"] == boot_ns
    assert 0 <= poller.manifest()["clock_uncertainty_ms"] < 100


def test_a_lost_link_is_an_event_and_the_polling_goes_on(tmp_path: Path) -> None:
    fake = FakeShell(
        answer(FIN_WAIT), LinkLost("bal01: no answer in 30 s"), answer(FIN_WAIT), answer()
    )
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "events", "host", "kind", "detail") == [
        ("bal01", "link-lost", "no answer in 30 s"),
        ("bal01", "link-back", "polling again"),
    ]
    assert len(recording.table("polls")) == 3
    assert [change for (change,) in rows(recording, "entries", "change")] == ["appeared", "gone"]
    assert not poller.lost


def test_it_tries_again_until_the_director_is_back(tmp_path: Path) -> None:
    fake = FakeShell(answer(), LinkLost("gone"), LinkLost("gone again"), answer())
    fake.refusals = 3
    _, recording = polled(fake, tmp_path)
    assert fake.opened == 5  # three refused, one lost at its first poll, one that lasted
    kinds = [kind for (kind,) in rows(recording, "events", "kind")]
    assert kinds == ["link-lost", "link-back"]


def test_a_link_that_is_lost_again_at_once_is_two_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is between two polls is a gap of its own, even if one poll came between two losses."""

    def first_after_the_loss(_: str) -> str:
        fake.lost_by = "--stats"
        fake.texts[:] = [answer()]
        return answer()

    monkeypatch.setattr(counter_polls, "COUNTERS_EVERY_S", 0)
    fake = FakeShell(answer(), LinkLost("gone"), first_after_the_loss)
    fake.answers_by_word["--stats"] = STATS
    poller, recording = polled(fake, tmp_path)
    kinds = [kind for (kind,) in rows(recording, "events", "kind")]
    assert kinds == ["link-lost", "link-back", "link-lost", "link-back"]
    assert len(recording.table("polls")) == 3
    assert not poller.lost


def test_an_answer_without_an_uptime_is_a_lost_link(tmp_path: Path) -> None:
    fake = FakeShell(answer(), "sh: cat: not found\n", answer())
    _, recording = polled(fake, tmp_path)
    assert [kind for (kind,) in rows(recording, "events", "kind")] == ["link-lost", "link-back"]


def test_a_director_that_is_gone_from_the_start_raises(tmp_path: Path) -> None:
    poller = Poller(FakeShell(LinkLost("no")).client, RecordingWriter(tmp_path, {}))

    async def main() -> None:
        async with poller:
            pass

    with pytest.raises(LinkLost):
        asyncio.run(main())


def test_a_director_that_reboots_begins_a_new_clock(tmp_path: Path) -> None:
    fake = FakeShell(
        answer(at_s=5000.0), answer(at_s=5000.01), answer(at_s=12.0), answer(at_s=12.01)
    )
    poller, recording = polled(fake, tmp_path)
    assert [kind for (kind,) in rows(recording, "events", "kind")] == ["clock-stepped"]
    offsets = [offset for (offset,) in rows(recording, "polls", "offset_ms")]
    assert offsets[1] == pytest.approx(0, abs=500)
    assert offsets[2] == pytest.approx(4_988_000, abs=500)
    assert poller.manifest()["clock_uncertainty_ms"] < 100
    for at, asked, took_ms in rows(recording, "polls", "at", "asked", "took_ms"):
        assert asked <= at <= asked + pd.Timedelta(milliseconds=took_ms)


def test_another_boot_id_after_a_lost_link_is_a_reboot(tmp_path: Path) -> None:
    fake = FakeShell(answer(at_s=10.0), LinkLost("gone"), answer(at_s=9.0))
    fake.answers_by_word["boot_id"] = "boot=another\n"
    poller, recording = polled(fake, tmp_path)
    kinds = [kind for (kind,) in rows(recording, "events", "kind")]
    assert kinds == ["link-lost", "rebooted", "link-back"]  # and not: a clock was set
    assert poller.manifest()["clock_uncertainty_ms"] < 100


def test_the_end_of_the_run_closes_the_shell(tmp_path: Path) -> None:
    fake = FakeShell(answer())
    polled(fake, tmp_path)
    assert fake.closed >= 1
