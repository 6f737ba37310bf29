"""What an operator sees while a watch is on."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from loadgen.live.table import MOST_SHOWN, LiveTable, clock, drawing, empty, lines, span
from loadgen.live.view import DrainForecast, HeldEntries, View
from loadgen.session.text_console import TextConsole
from tests.unit.loadgen.collect.builders_view import NOW_NS, NS, director, server, view


def shown(what: View, *, terminal: bool) -> str:
    out = io.StringIO()
    console = TextConsole(
        color=False, file=out, force_terminal=terminal, width=200, color_system=None
    )
    with LiveTable(color=False, console=console) as table:
        table.show(what)
    return out.getvalue()


def test_without_a_terminal_each_real_server_is_one_line() -> None:
    (line,) = shown(view(director(server())), terminal=False).splitlines()
    assert line[8:] == (
        " bal01 TCP 192.168.10.2:80 rr 192.168.10.21:80: weight 1, active 3, inactive 20, "
        "new/s 4.0, entries by state 20 FIN_WAIT, oldest ends in 12 s"
    )


def test_in_a_terminal_it_is_a_table() -> None:
    text = shown(view(director(server())), terminal=True)
    for cell in ("real server", "192.168.10.21:80", "20 FIN_WAIT", "12 s", "4.0"):
        assert cell in text


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    out = io.StringIO()
    console = TextConsole(color=False, file=out, force_terminal=True, width=80, color_system=None)
    forecast = DrainForecast(first_ns=NOW_NS + 18 * NS, last_ns=NOW_NS + 19 * NS, renewed=0)
    console.print(drawing(view(director(server(weight=0, forecast=forecast)))))
    text = out.getvalue()
    assert "  -> 192.168.10.21:80 " in text
    assert "20 FIN_WAIT 12 s" in text
    assert "empty: 192.168.10.21:80 on bal01 " in text
    assert text.count("\n") == 5


@pytest.mark.parametrize("terminal", [False, True])
def test_a_director_that_is_lost_shows_nothing_old(terminal: bool) -> None:
    text = shown(view(director(server(), up=False)), terminal=terminal)
    assert "lost; last answer" in text
    assert "FIN_WAIT" not in text
    assert "192.168.10.21" not in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_directors_words_are_shown_and_not_interpreted(terminal: bool) -> None:
    hostile = server(service="[bold]TCP[/bold] x", scheduler="[/oops]")
    text = shown(view(director(hostile, name="[red]bal01")), terminal=terminal)
    assert "[red]bal01" in text
    assert "[/oops]" in text


def test_what_is_not_measured_is_not_zero() -> None:
    (line,) = lines(view(director(server(held=None, arrivals=None))))
    assert "new/s ?" in line
    assert "entries by state ?" in line


def test_a_director_without_services_says_so() -> None:
    (line,) = lines(view(director()))
    assert line.endswith("bal01 no real server of a watched service")


FORECAST = DrainForecast(first_ns=NOW_NS + 18 * NS, last_ns=NOW_NS + 19 * NS, renewed=0)
NO_ENTRIES = HeldEntries(states={}, oldest_ends_ns=None)
EMPTY: list[tuple[dict[str, Any], str]] = [
    ({"weight": 1, "forecast": None}, ""),
    ({"weight": 0, "held": NO_ENTRIES, "forecast": None}, "now"),
    ({"weight": 0, "held": None, "forecast": None}, "not known: entries are not read"),
]


@pytest.mark.parametrize(("changed", "answer"), EMPTY)
def test_when_a_real_server_is_empty(changed: dict[str, Any], answer: str) -> None:
    assert empty(server(**changed), NOW_NS) == answer


def test_a_draining_server_is_reported_with_its_uncertainty() -> None:
    answer = empty(server(weight=0, forecast=FORECAST), NOW_NS)
    assert answer.endswith("± 0.5 s (in 18 s)")


def test_while_traffic_renews_entries_no_instant_is_promised() -> None:
    renewed = DrainForecast(first_ns=FORECAST.first_ns, last_ns=FORECAST.last_ns, renewed=2)
    answer = empty(server(weight=0, forecast=renewed), NOW_NS)
    assert answer.startswith("not while traffic goes on (2 renewed); if none comes again, ")


def test_clients_that_come_back_are_named_with_the_last_time() -> None:
    times = {"first_ns": FORECAST.first_ns, "last_ns": FORECAST.last_ns}
    renewed = DrainForecast(**times, renewed=2, clients=1, last_renewal_ns=NOW_NS)
    answer = empty(server(weight=0, forecast=renewed), NOW_NS)
    assert answer.startswith(f"not while clients come back (2 renewed, last at {clock(NOW_NS)}); ")


def test_no_instant_is_known_without_any_uncertainty() -> None:
    exact = DrainForecast(first_ns=FORECAST.first_ns, last_ns=FORECAST.first_ns, renewed=0)
    assert "± 0.1 s" in empty(server(weight=0, forecast=exact), NOW_NS)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (119.4, "119 s"), (905, "15 min 05 s")])
def test_spans_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("terminal", [True, False])
def test_of_many_real_servers_the_busiest_and_the_draining_are_shown(terminal: bool) -> None:
    many = [server(real_server=f"10.0.{i // 250}.{i % 250}", active=i) for i in range(3000)]
    many[1] = server(real_server="10.9.9.9", active=0, weight=0)
    text = shown(view(director(*many)), terminal=terminal)
    assert "10.0.11.249" in text
    assert "10.9.9.9" in text
    assert "10.0.0.5:" not in text
    assert "and 2,800 more real servers" in text
    assert len(set(re.findall(r"\b10[.]\d[.]\d+[.]\d+:80", text))) == MOST_SHOWN
