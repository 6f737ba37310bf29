"""What an operator sees while a watch is on."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest

from loadgen.live.selection import Filter, Selection
from loadgen.live.table import MOST_SHOWN, LiveTable, clock, drawing, empty, plain_rows, span
from loadgen.live.view import DrainForecast, HeldEntries, View
from loadgen.session.text_console import TextConsole
from tests.unit.loadgen.collect.builders_view import NOW_NS, NS, director, server, view


def shown(what: View, *, terminal: bool) -> str:
    out = io.StringIO()
    console = TextConsole(
        color=False,
        file=out,
        force_terminal=terminal,
        width=200,
        height=1000,
        color_system=None,
    )
    with LiveTable(color=False, console=console) as table:
        table.show(what)
    return out.getvalue()


def lines(what: View) -> list[str]:
    return [row.text for row in plain_rows(what)]


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
    reboots = ["safe to reboot 192.168.10.21 after 04:55:20 on all directors"]
    console.print(drawing(view(director(server(weight=0, forecast=forecast))), reboots))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert reboots[0] in text
    assert "  -> 192.168.10.21:80 " in text
    assert "20 FIN_WAIT 12 s" in text
    assert "empty: 192.168.10.21:80 on bal01 " in text
    assert text.count("\n") == 6


@pytest.mark.parametrize("height", [10, 24])
def test_what_does_not_fit_the_terminal_is_counted_and_what_may_be_rebooted_stays(
    height: int,
) -> None:
    out = io.StringIO()
    console = TextConsole(color=False, file=out, force_terminal=True, width=80, color_system=None)
    many = [server(real_server=f"10.0.0.{i}") for i in range(60)]
    console.print(drawing(view(director(*many)), ["safe to reboot 10.9.9.9 now"], height, 80))
    text = out.getvalue()
    assert text.count("\n") <= height
    assert f"... and {62 - (height - 3)} more lines: see --filter and --sort" in text
    assert "safe to reboot 10.9.9.9 now" in text
    assert "q or Ctrl-C" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_states_and_long_addresses_break_no_word(width: int) -> None:
    held = HeldEntries(
        states={"ESTABLISHED": 1234, "FIN_WAIT": 77, "TIME_WAIT": 8}, oldest_ends_ns=0
    )
    long = "fd00:1111:2222:3333:4444:5555:6666:7777"
    what = view(director(server(held=held), server(held=held, real_server=long), name="n" * 50))
    out = io.StringIO()
    console = TextConsole(color=False, file=out, force_terminal=True, width=width)
    console.print(drawing(what, width=width))
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(map(len, text.splitlines())) <= width
    assert {"1234", "ESTABLISHED,", "FIN_WAIT,", "TIME_WAIT", f"[{long}]:80"} <= set(text.split())


def changes(*views: View, **options: Any) -> list[list[str]]:
    """What each of some views after another prints where there is no terminal."""
    out = io.StringIO()
    console = TextConsole(color=False, file=out, force_terminal=False, width=200)
    printed = []
    with LiveTable(color=False, console=console, **options) as table:
        for what in views:
            table.show(what)
            printed.append(out.getvalue().splitlines())
            out.truncate(out.seek(0))
    return printed


def later(what: View, seconds: float) -> View:
    return replace(what, at_ns=what.at_ns + round(seconds * NS))


def test_without_a_terminal_only_what_changes_is_printed_again() -> None:
    a, b = server(), server(real_server="192.168.10.22")
    idle, busy = view(director(a, b)), view(director(a, replace(b, inactive=21)))
    first, second, third = changes(idle, later(idle, 1), later(busy, 2))
    assert len(first) == 2
    assert second == []
    assert [line.split()[5] for line in third] == ["192.168.10.22:80:"]


def test_a_row_that_never_changes_is_printed_once_a_minute() -> None:
    eight = view(*(director(*(server(port=80 + n) for n in range(8))) for _ in range(1)))
    printed = changes(*(later(eight, n) for n in range(121)))
    assert [n for n, lines in enumerate(printed) if lines] == [0, 60, 120]


def test_the_selection_is_what_is_shown() -> None:
    what = view(director(server(active=1), server(real_server="192.168.10.22", active=2)))
    order = Selection(order="active")
    assert [line.split()[5] for line in changes(what, selection=order)[0]] == [
        "192.168.10.22:80:",
        "192.168.10.21:80:",
    ]
    only = Selection(filters=(Filter(text="10.22"),))
    assert len(changes(what, selection=only)[0]) == 1


def test_the_watch_ends_with_what_may_be_rebooted() -> None:
    out = io.StringIO()
    console = TextConsole(color=False, file=out, force_terminal=False, width=200)
    forecast = DrainForecast(first_ns=NOW_NS, last_ns=NOW_NS + NS, renewed=0)
    what = view(director(server(weight=0, forecast=forecast)), director(server()))
    with LiveTable(color=False, console=console) as table:
        table.show(view(director(server(weight=0, forecast=forecast))))
        table.show(what)
    assert out.getvalue().splitlines()[-1].startswith("not safe to reboot 192.168.10.21: weight 1")


def test_a_filter_hides_no_line_about_a_reboot() -> None:
    forecast = DrainForecast(first_ns=NOW_NS, last_ns=NOW_NS + NS, renewed=0)
    what = view(director(server(weight=0, forecast=forecast)))
    (only,) = changes(what, selection=Selection(filters=(Filter(text="nothing"),)))[0]
    assert "safe to reboot 192.168.10.21 after " in only


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
