"""The live table of a watch: rich where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import heapq
import math
import time
from itertools import chain
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.table import Table

from analyzer.ipvs.addresses import host_port
from analyzer.units import NS_PER_S
from loadgen.session.text_console import TextConsole, text_cell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from loadgen.live.view import DirectorView, DrainForecast, HeldEntries, ServerView, View

NOTHING = "?"  # not measured
COLUMNS = ("director", "service", "real server")
NUMBERS = ("weight", "active", "inactive", "new/s")
DETAILS = ("entries by state", "oldest ends in", "empty")
HEADINGS = ("real server", "weight", "active", "inact", "new/s", "states", "oldest")
"""The same for a table, short: it has to fit a terminal of 80 columns."""

WIDTHS = {"states": 11, "oldest": 6}
"""What a folded column needs to be read."""

MOST_SHOWN = 200
"""Real servers of one director that are shown: those that drain, and those with most entries."""

_OF_NOW_S = 2.5  # a view is drawn each second, of what was polled before
_LEAST_S = 0.1  # no instant of a clock that is polled is known more closely


class LiveTable:
    """What an operator sees while a watch is on, on standard error."""

    def __init__(self, *, color: bool, console: TextConsole | None = None) -> None:
        self._console = console or TextConsole(color=color)
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=False)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line above the table."""
        self._console.say(line)

    def show(self, view: View) -> None:
        """Draw a view anew, or print its lines."""
        if self._live:
            self._live.update(drawing(view), refresh=True)
            return
        for line in lines(view):
            self.say(line)


def drawing(view: View) -> Group:
    """A view as ipvsadm lays it out; texts of a director are shown, never interpreted."""
    draining = [
        f"empty: {cells[2]} on {director.name} {cells[9]}"
        for director in view.directors
        for cells in rows(director, view.at_ns)
        if len(cells) > len(HEADINGS) and cells[9]
    ]
    end = f"{clock(view.at_ns)}, q or Ctrl-C ends the watch and makes the report"
    return Group(_table(view), *map(text_cell, draining), text_cell(end, "dim"))


def _table(view: View) -> Table:
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    drawn.add_column(HEADINGS[0], no_wrap=True)
    for name in HEADINGS[1:5]:
        drawn.add_column(name, justify="right", no_wrap=True)
    for name in HEADINGS[5:]:
        drawn.add_column(name, overflow="fold", min_width=WIDTHS[name])
    for director in view.directors:
        above = None
        for cells in rows(director, view.at_ns):
            if cells[:2] != above:
                above = cells[:2]
                drawn.add_row(text_cell(" ".join(above), "bold"))
            if cells[2:]:
                drawn.add_row(*map(text_cell, (f"  -> {cells[2]}", *cells[3:9])))
    return drawn


def rows(director: DirectorView, at_ns: int) -> list[Sequence[str]]:
    """A director's rows; one that is lost shows nothing old."""
    if not director.up:
        since = "not yet" if director.polled_ns is None else clock(director.polled_ns)
        return [(director.name, f"lost; last answer {since}")]
    if not director.servers:
        return [(director.name, "no real server of a watched service")]
    shown = _busiest(director.servers)
    more = len(director.servers) - len(shown)
    left_out = [(director.name, f"and {more:,} more real servers")] if more else []
    return [*(_cells(director, server, at_ns) for server in shown), *left_out]


def _busiest(servers: Sequence[ServerView]) -> Sequence[ServerView]:
    if len(servers) <= MOST_SHOWN:
        return servers
    chosen = heapq.nlargest(
        MOST_SHOWN,
        range(len(servers)),
        key=lambda i: (servers[i].weight == 0, servers[i].active + servers[i].inactive),
    )
    return [servers[i] for i in sorted(chosen)]


def _cells(director: DirectorView, server: ServerView, at_ns: int) -> Sequence[str]:
    return (
        director.name,
        f"{server.service} {server.scheduler}",
        host_port(server.real_server, server.real_port),
        str(server.weight),
        str(server.active),
        str(server.inactive),
        new(server),
        states(server.held),
        oldest(server.held, at_ns),
        empty(server, at_ns),
    )


def new(server: ServerView) -> str:
    """New connections a second; how long ago that was, where it is not of now."""
    arrivals = server.arrivals
    if arrivals is None:
        return NOTHING
    ago = f" ({arrivals.age_s:.0f} s ago)" if arrivals.age_s > _OF_NOW_S else ""
    return f"{arrivals.per_s:.1f}{ago}"


def states(held: HeldEntries | None) -> str:
    """``25 FIN_WAIT, 1 TEMPLATE``."""
    if held is None:
        return NOTHING
    return ", ".join(f"{n} {state}" for state, n in sorted(held.states.items())) or "none"


def oldest(held: HeldEntries | None, at_ns: int) -> str:
    """What the timer that ends first has left; none once it is late."""
    if held is None or held.oldest_ends_ns is None:
        return NOTHING if held is None else ""
    return span(max(held.oldest_ends_ns - at_ns, 0) / NS_PER_S)


def empty(server: ServerView, at_ns: int) -> str:
    """When a draining real server will hold nothing."""
    if server.weight:
        return ""
    if server.forecast is not None:
        return _forecast(server.forecast, at_ns)
    if server.held is None:
        return "not known: entries are not read"
    return "now"


def _forecast(forecast: DrainForecast, at_ns: int) -> str:
    middle_ns = (forecast.first_ns + forecast.last_ns) // 2
    wide_s = math.ceil((forecast.last_ns - forecast.first_ns) / 2 / NS_PER_S * 10) / 10
    when = f"{clock(middle_ns)} ± {max(wide_s, _LEAST_S):.1f} s"
    if forecast.renewed:
        why = "clients come back" if forecast.clients else "traffic goes on"
        last = f", last at {clock(forecast.last_renewal_ns)}" if forecast.last_renewal_ns else ""
        return f"not while {why} ({forecast.renewed} renewed{last}); if none comes again, {when}"
    left = span(max(middle_ns - at_ns, 0) / NS_PER_S)
    return f"{when} (in {left})"


def lines(view: View) -> list[str]:
    """A view where there is no terminal: one line for each real server."""
    return list(chain.from_iterable(_lines(director, view.at_ns) for director in view.directors))


def _lines(director: DirectorView, at_ns: int) -> list[str]:
    head = clock(at_ns)
    if not director.up or not director.servers:
        return [f"{head} {' '.join(cells)}" for cells in rows(director, at_ns)]
    names = (*COLUMNS, *NUMBERS, *DETAILS)
    lines = []
    for cells in rows(director, at_ns):
        if len(cells) < len(names):
            lines.append(f"{head} {' '.join(cells)}")
            continue
        numbers = [f"{name} {cell}" for name, cell in list(zip(names, cells, strict=True))[3:8]]
        more = [f"{name} {cell}" for name, cell in zip(DETAILS[1:], cells[8:], strict=True) if cell]
        lines.append(f"{head} {' '.join(cells[:3])}: {', '.join([*numbers, *more])}")
    return lines


def span(seconds: float) -> str:
    """``4 s``, ``2 min 05 s``."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s"


def clock(at_ns: int) -> str:
    """Local time to the second, as the operator's own clock shows it."""
    return time.strftime("%H:%M:%S", time.localtime(at_ns / NS_PER_S))
