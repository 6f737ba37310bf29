"""Counters come with a poll, or are asked for when it is time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadgen.director.links.client import DirectorClient
from loadgen.director.polling import counter_polls
from tests.unit.loadgen.director.fakes import FakeShell
from tests.unit.loadgen.director.polling.builders_polls import (
    STATS,
    answer,
    facts_of,
    polled,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("short_intervals")

COUNTERS = ("conns", "in_packets", "out_packets", "in_bytes", "out_bytes")


def test_counters_stand_in_the_rows_of_the_poll_that_asked_for_them(tmp_path: Path) -> None:
    fake = FakeShell(answer(), answer())
    fake.answers_by_word["--stats"] = STATS
    poller, recording = polled(fake, tmp_path)
    unknown = (None,) * 5
    assert rows(recording, "services", "real_server", *COUNTERS) == [
        ("192.168.10.22", 4, 24, 1, 1576, 40),
        ("192.168.10.21", 4, 20, 0, 1291, 0),
        ("192.168.10.22", *unknown),  # their time has not come again
        ("192.168.10.21", *unknown),
    ]
    server = ("TCP", "192.168.10.2", 80, None, "192.168.10.21", 80)
    assert poller.counters[server]._asdict() == dict(
        zip(COUNTERS, (4, 20, 0, 1291, 0), strict=True)
    )
    assert poller.not_measured() == []


def test_a_director_without_ipvsadm_has_no_counters_and_says_so(tmp_path: Path) -> None:
    poller, recording = polled(FakeShell(answer(), answer()), tmp_path)
    assert rows(recording, "services", *COUNTERS) == [(None,) * 5] * 4
    assert [row["what"] for row in poller.not_measured()] == [
        "counters (Conns, InPkts ...) on bal01"
    ]


def test_a_poll_whose_counters_are_lost_is_recorded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last(_: str) -> str:
        fake.lost_by = "--stats"
        fake.texts[:] = [answer()]
        return answer()

    monkeypatch.setattr(counter_polls, "COUNTERS_EVERY_S", 0)
    fake = FakeShell(answer(), last)
    fake.answers_by_word["--stats"] = STATS
    _, recording = polled(fake, tmp_path)
    assert len(recording.table("polls")) == 3
    assert len(recording.table("services")) == 6
    assert [kind for (kind,) in rows(recording, "events", "kind")] == ["link-lost", "link-back"]


@pytest.mark.parametrize("sysctl", ["run_estimation:0\nest_cpulist:0\n", "run_estimation:1\n"])
def test_counters_that_stand_still_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sysctl: str
) -> None:
    """The kernel adds them up when it estimates rates; est_cpulist is there, but empty."""
    facts = facts_of("7.2.7", f"@sysctl\n{sysctl}@end\n")
    fake = FakeShell(answer(), answer())

    async def counters(self: DirectorClient, *, timeout_s: float) -> None:
        raise AssertionError

    monkeypatch.setattr(DirectorClient, "counters", counters)
    poller, recording = polled(fake, tmp_path, facts=facts)
    assert recording.table("services")["conns"].isna().all()
    (why,) = [row["why"] for row in poller.not_measured() if row["what"].startswith("counters")]
    assert why.endswith("the kernel no longer adds its counters up")
