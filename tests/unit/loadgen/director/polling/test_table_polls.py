"""The table's status is read with the settings, and sooner while the table gets fuller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.table_status import parse_table_status
from loadgen.director.links.client import DirectorClient
from loadgen.director.polling import (
    settings_polls,
    table_polls,
)
from tests.unit.loadgen.director.fakes import FakeShell
from tests.unit.loadgen.director.polling.builders_polls import (
    SETTINGS,
    answer,
    facts_of,
    polled,
)

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.ipvs.table_status import TableStatus


pytestmark = pytest.mark.usefixtures("short_intervals")


def status(entries: int, buckets: int = 256) -> str:
    return f"Conns:\t{entries}\nConn buckets:\t{buckets} (8 bits, lfactor -4)\n"


def test_the_tables_status_is_read_again_and_the_fullest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_polls, "SETTINGS_EVERY_S", 0)
    answers = iter([status(7), status(90, 2048), status(20, 2048)])
    fake = FakeShell(answer(), answer(), answer(), answer())
    fake.answers_by_word["@timeouts"] = SETTINGS.format(120)

    async def table_status(self: DirectorClient, *, timeout_s: float) -> TableStatus | None:
        return parse_table_status(next(answers, status(3)))

    monkeypatch.setattr(DirectorClient, "table_status", table_status)
    facts = replace(facts_of("7.2.7"), table_status=parse_table_status(status(0)))
    poller, _ = polled(fake, tmp_path, facts=facts)
    found = poller.manifest()
    assert (found["table_status_fullest"]["entries"], found["table_status_fullest"]["buckets"]) == (
        90,
        2048,
    )
    assert found["table_status_at_end"]["entries"] == 3


def test_a_table_that_gets_fuller_is_polled_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """52 entries are counted: 7 were reported, then 60, and there is nothing more to ask."""
    monkeypatch.setattr(table_polls, "TABLE_EVERY_S", 0)
    answers = [status(60), status(3)]
    fake = FakeShell(*[answer()] * 6)

    async def table_status(self: DirectorClient, *, timeout_s: float) -> TableStatus | None:
        return parse_table_status(answers.pop(0))

    monkeypatch.setattr(DirectorClient, "table_status", table_status)
    facts = replace(facts_of("7.2.7"), table_status=parse_table_status(status(7)))
    poller, _ = polled(fake, tmp_path, facts=facts)
    assert poller.manifest()["table_status_fullest"]["entries"] == 60
    assert poller.manifest()["table_status_at_end"]["entries"] == 3
    assert answers == []  # once while it was polled, and at the end


def test_a_director_that_does_not_give_its_tables_status_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_polls, "SETTINGS_EVERY_S", 0)

    async def table_status(self: DirectorClient, *, timeout_s: float) -> TableStatus | None:
        raise AssertionError

    monkeypatch.setattr(DirectorClient, "table_status", table_status)
    fake = FakeShell(answer(), answer())
    fake.answers_by_word["@timeouts"] = SETTINGS.format(120)
    poller, recording = polled(fake, tmp_path, facts=facts_of("6.1.176"))
    assert not [key for key in poller.manifest() if key.startswith("table_status")]
    assert len(recording.table("polls")) == 2


def test_a_link_that_is_lost_at_the_end_costs_only_the_last_status(tmp_path: Path) -> None:
    fake = FakeShell(answer())
    fake.lost_by = "ip_vs_status"
    facts = replace(facts_of("7.2.7"), table_status=parse_table_status(status(90)))
    poller, recording = polled(fake, tmp_path, facts=facts)
    assert poller.manifest()["table_status_fullest"]["entries"] == 90
    assert len(recording.table("polls")) == 1
