"""What the page of a run says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.results import Event
from loadgen.live.rates import RequestRates
from loadgen.live.recent_polls import RecentPolls
from loadgen.live.snapshot import Sending, live_run
from loadgen.live.table import rows
from loadgen.live.view import HeldEntries, View
from loadgen.load.engines.tally import Tally
from tests.unit.loadgen.collect.builders_view import NOW_NS, NS, director, server, view

if TYPE_CHECKING:
    from reports.charts.wording import Headline
    from reports.live.page import LiveRun

EVENT = Event(t_s=1.0, host="bal01", kind="link-lost", detail="cut")


def run(what: View, **changed: Any) -> LiveRun:
    values: dict[str, Any] = {"seen": (), "events": (), "sending": None, "now_s": 10.0}
    return live_run("Watching", what, **values | changed)


def headline(what: LiveRun, label: str) -> Headline:
    (found,) = [one for one in what.headlines if one.label == label]
    return found


def held(**ends_s: tuple[int, int]) -> HeldEntries:
    """Ten entries in each state, whose first and last timers end in so many seconds."""
    ends_ns = {
        state: (NOW_NS + first * NS, NOW_NS + last * NS) for state, (first, last) in ends_s.items()
    }
    return HeldEntries(states=dict.fromkeys(ends_s, 10), oldest_ends_ns=None, ends_ns=ends_ns)


def test_the_counters_of_all_directors_are_added_up() -> None:
    shown = run(view(director(server()), director(server(inactive=2), name="bal02")))
    now = headline(shown, "InActConn now")
    assert (now.value, now.detail) == ("22", "20 on bal01, 2 on bal02")
    assert headline(shown, "ActiveConn now").value == "6"


def test_a_lost_director_is_said_to_be_lost_and_is_not_counted() -> None:
    shown = run(view(director(server()), director(server(), name="bal02", up=False)))
    (finding,) = shown.findings
    assert finding.title == "bal02 is lost"
    assert finding.severity == "problem"
    assert headline(shown, "InActConn now").value == "20"
    assert headline(shown, "InActConn now").detail.endswith("; not counted: bal02")
    assert shown.servers is not None
    assert [row[1] for row in shown.servers.rows] == ["bal01", "bal02"]
    last_word = shown.servers.rows[1][2]
    assert isinstance(last_word, str)
    assert last_word.startswith("lost; last answer ")


def test_with_every_director_lost_nothing_is_known_of_now() -> None:
    shown = run(view(director(server(), up=False)))
    values = {one.label: one.value for one in shown.headlines}
    assert values == {"ActiveConn now": None, "InActConn now": None, "InActConn will fall": None}


def test_without_a_director_there_is_no_table_and_that_is_said() -> None:
    shown = run(View(at_ns=0, directors=()))
    assert shown.servers is None
    assert headline(shown, "InActConn now").detail == "no director is polled"


@pytest.mark.parametrize(
    ("holds", "value", "words"),
    [
        (held(FIN_WAIT=(12, 119)), "in 12 s", "in about 119 s"),
        (held(FIN_WAIT=(12, 19), CLOSE=(5, 8)), "in 5 s", "in about 19 s"),
        (held(ESTABLISHED=(3, 900)), "\N{EN DASH}", "no entry is inactive"),
        (held(ESTABLISHED=(3, 900), FIN_WAIT=(0, 7)), "now", "in about 7 s"),
        (held(), "\N{EN DASH}", "no entry is inactive"),
    ],
)
def test_inactconn_falls_when_the_first_inactive_entrys_timer_ends(
    holds: HeldEntries, value: str, words: str
) -> None:
    falls = headline(run(view(director(server(held=holds)))), "InActConn will fall")
    assert falls.value == value
    assert words in falls.detail


def test_where_entries_are_not_read_nobody_knows_when_it_falls() -> None:
    blind = replace(director(server(held=None)), reads_entries=False)
    falls = headline(run(view(blind)), "InActConn will fall")
    assert (falls.value, falls.detail) == (None, "entries are not read on bal01")


def test_the_table_is_the_terminals() -> None:
    what = view(director(server(weight=0)))
    shown = run(what)
    assert shown.servers is not None
    (row,) = shown.servers.rows
    (cells,) = rows(what.directors[0], what.at_ns)
    assert sorted(map(str, row)) == sorted(cells)


def test_failures_are_known_by_what_they_say() -> None:
    tally = Tally()
    tally.ended = 1200
    tally.errors.update({"connection refused": 3, "timeout": 1})
    sending = Sending(tally=tally, rates=RequestRates(0), planned=2000)
    sent = headline(run(view(), sending=sending), "Requests ended")
    assert sent.value == "1,200"
    assert sent.alarming
    assert "of 2,000 planned; 4 failed: 3 connection refused, 1 timeout" in sent.detail


def test_events_are_shown_as_far_back_as_the_curves() -> None:
    assert run(view(), events=(EVENT,)).timeline.events == (EVENT,)
    assert run(view(), seen=(RecentPolls("bal01", 0),)).courses[0].director == "bal01"
