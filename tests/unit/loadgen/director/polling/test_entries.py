"""Entries are read as often as their cost allows, and given up where they cost too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadgen.director.polling import (
    entries as entries_module,
)
from tests.unit.loadgen.director.fakes import (
    FIN_WAIT,
    OTHERS,
    SERVICES,
    FakeShell,
)
from tests.unit.loadgen.director.polling.builders_polls import (
    answer,
    polled,
    rows,
    uptime,
)

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("short_intervals")


def test_entries_that_cannot_be_read_are_an_event_once_and_not_asked_for_again(
    tmp_path: Path,
) -> None:
    unreadable = uptime() + SERVICES
    poller, recording = polled(FakeShell(unreadable, unreadable, unreadable), tmp_path)
    assert rows(recording, "events", "kind") == [("entries-unreadable",)]
    assert rows(recording, "polls", "what", "entries") == [("services", None)] * 3
    assert not poller.reads_entries
    assert poller.counts == (3, 49)


def test_entries_are_asked_for_with_every_poll_while_the_table_is_small(tmp_path: Path) -> None:
    fake = FakeShell(answer(), answer(), answer())
    polled(fake, tmp_path)
    assert all("ip_vs_conn" in script for script in fake.asked)


def test_entries_are_read_no_more_often_than_their_share_of_the_director_allows(
    tmp_path: Path,
) -> None:
    fake = FakeShell(answer(FIN_WAIT, OTHERS), uptime() + SERVICES, uptime() + SERVICES)
    poller, recording = polled(fake, tmp_path, director_cpu=1e-4)  # 2 ms, so every 20 s
    assert ["ip_vs_conn" in script for script in fake.asked[:3]] == [True, False, False]
    assert rows(recording, "polls", "what") == [("entries",), ("services",), ("services",)]
    assert poller.reads_entries  # again, when its time has come


CROWDED = SERVICES.replace("90         91", "90    3000000")


def test_entries_that_cost_too_much_are_given_up_and_taken_up_again(tmp_path: Path) -> None:
    fake = FakeShell(answer(FIN_WAIT, services=CROWDED), uptime() + CROWDED, uptime() + SERVICES)
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "polls", "what") == [("entries",), ("services",), ("services",)]
    events = rows(recording, "events", "kind", "detail")
    assert [kind for kind, _ in events] == ["entries-given-up", "entries-resumed"]
    assert "a read of 3000142 takes about" in events[0][1]
    assert poller.reads_entries
    (given_up, _) = poller.not_measured()
    assert given_up["what"] == "entries on bal01"
    assert "the counters go on" in given_up["why"]


def test_entries_that_become_readable_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries_module, "TRY_AGAIN_S", 0)
    fake = FakeShell(uptime() + SERVICES, answer(FIN_WAIT), answer(FIN_WAIT))
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "events", "kind") == [("entries-unreadable",), ("entries-resumed",)]
    assert len(poller.entries) == 1
