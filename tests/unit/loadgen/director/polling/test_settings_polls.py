"""Settings and timeouts are read between polls; a change of them is an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.snapshot import netfilter
from loadgen.director.polling import settings_polls
from tests.unit.loadgen.director.fakes import FakeShell
from tests.unit.loadgen.director.polling.builders_polls import (
    SETTINGS,
    answer,
    facts_of,
    polled,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.director.boot_facts import BootFacts


pytestmark = pytest.mark.usefixtures("short_intervals")


def facts_with(tcpfin_s: int) -> BootFacts:
    return facts_of(None, SETTINGS.format(tcpfin_s))


def test_settings_are_read_again_and_a_change_is_an_event_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_polls, "SETTINGS_EVERY_S", 0)
    fake = FakeShell(answer(), answer(), answer())
    fake.answers_by_word["@timeouts"] = SETTINGS.format(10)
    _, recording = polled(fake, tmp_path, facts=facts_with(120))
    assert rows(recording, "events", "host", "kind", "detail") == [
        ("bal01", "timeouts-changed", "900 10 300")  # once, as it changed once
    ]


def test_timeouts_alone_are_read_between_and_since_when_they_may_hold_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_polls, "TIMEOUTS_EVERY_S", 0)
    answers = iter([120, 10, 30])
    fake = FakeShell(answer(), answer(), answer(), answer())

    async def timeouts(self: DirectorClient, *, timeout_s: float) -> Timeouts | None:
        return Timeouts(tcpfin_s=next(answers, 30))

    monkeypatch.setattr(DirectorClient, "timeouts", timeouts)
    _, recording = polled(fake, tmp_path, facts=facts_with(120))
    events = rows(recording, "events", "kind", "detail", "since", "at")
    assert [row[:2] for row in events] == [
        ("timeouts-changed", "900 10 300"),
        ("timeouts-changed", "900 30 300"),
    ]
    (_, _, since, at), (_, _, then_since, then_at) = events
    assert since < at
    assert since < then_since <= at < then_at


def test_a_director_that_does_not_give_its_timeouts_is_asked_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_polls, "TIMEOUTS_EVERY_S", 0)
    asked = []

    async def timeouts(self: DirectorClient, *, timeout_s: float) -> Timeouts | None:
        asked.append(timeout_s)
        return None

    monkeypatch.setattr(DirectorClient, "timeouts", timeouts)
    _, recording = polled(FakeShell(answer(), answer(), answer()), tmp_path, facts=facts_with(120))
    assert len(asked) == 1
    assert rows(recording, "events", "kind") == []


CONNTRACK = "@sysctl\nnf_conntrack_max:9\nnf_conntrack_tcp_timeout_time_wait:{}\n@end\n"


def test_of_a_netfilter_director_a_timeout_is_a_sysctl_that_changed_since_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_polls, "TIMEOUTS_EVERY_S", 0)
    polls = ["1000.00 1000.00\n0\n", CONNTRACK.format(120), "1000.25 1000.25\n0\n"]
    fake = FakeShell(*polls, CONNTRACK.format(7), "1000.50 1000.50\n0\n", CONNTRACK.format(7))
    client = fake.client
    client.source = netfilter("file")
    facts = facts_of(None, CONNTRACK.format(120))
    poller, recording = polled(fake, tmp_path, facts=facts, client=client)
    (event,) = rows(recording, "events", "kind", "detail", "since", "at")
    assert event[:2] == ("sysctl-changed", "nf_conntrack_tcp_timeout_time_wait: 120 -> 7")
    assert event[2] < event[3]
    assert not any("ipvsadm" in script for script in fake.asked)
    assert poller.not_measured()[0]["what"].startswith("counters")
