"""The live table of a watch: rich where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import heapq
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live

from analyzer.ipvs.addresses import host_port
from analyzer.units import NS_PER_S
from loadgen.live.changes import Changes, PlainRow
from loadgen.live.reboot import reboot_lines
from loadgen.live.selection import Selection
from loadgen.session.text_console import TextConsole, text_cell
from reports.layout import fitted, wrapped
from reports.plain_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from loadgen.live.view import DirectorView, DrainForecast, HeldEntries, ServerView, View

NOTHING = "?"  # not measured
COLUMNS = ("director", "service", "real server")
NUMBERS = ("weight", "active", "inactive", "new/s")
DETAILS = ("entries by state", "oldest ends in", "empty")
HEADINGS = ("real server", "weight", "active", "inact", "new/s", "states", "oldest")
"""The same for a table, short: it has to fit a terminal of 80 columns."""

LEAST_STATES, LEAST_NAME = 14, 20
"""Characters that the columns of states and of names have at the least."""

MOST_SHOWN = 200
"""Real servers of one director that are shown: those that drain, and those with most entries."""

_OF_NOW_S = 2.5  # a view is drawn each second, of what was polled before
_LEAST_S = 0.1  # no instant of a clock that is polled is known more closely


class LiveTable:
    """What an operator sees while a watch is on, on standard error."""

    def __init__(
        self,
        *,
        color: bool,
        console: TextConsole | None = None,
        selection: Selection | None = None,
        watches_all: bool = True,
    ) -> None:
        """A table that shows nothing yet.

        Args:
            color: whether there may be any.
            console: that is drawn on; by default standard error.
            selection: which real servers are shown, and in which order.
            watches_all: every service of the directors is watched.
        """
        self._console = console or TextConsole(color=color)
        self._selection = selection or Selection()
        self._watches_all = watches_all
        self._changes = Changes()
        self._reboots: Sequence[str] = ()
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
            self._live.stop()  # the last view stays
            return
        for line in self._reboots:
            self.say(line)

    def say(self, line: str) -> None:
        """A line above the table."""
        self._console.say(line)

    def show(self, view: View) -> None:
        """Draw a view anew, or print what has changed in it."""
        reboots = reboot_lines(view, clock, watches_all=self._watches_all)
        self._reboots = reboots
        shown = self._selection.of(view)
        if self._live:
            most = self._console.height - 1
            self._live.update(drawing(shown, reboots, most, self._console.width), refresh=True)
            return
        plain = [*plain_rows(shown), *(_reboot_row(line, view.at_ns) for line in reboots)]
        for line in self._changes.of(plain, view.at_ns):
            self.say(line)


def drawing(
    view: View, reboots: Sequence[str] = (), most: int | None = None, width: int = 80
) -> Group:
    """A view as ipvsadm lays it out; texts of a director are shown, never interpreted.

    Args:
        view: as it is shown.
        reboots: when real servers may be rebooted.
        most: lines that there is room for; the end of the table gives way.
        width: of the terminal.
    """
    told = [
        (part, "")
        for line in (*_draining(view), *reboots)
        for part in fitted(printable(line), width)
    ]
    end = f"{clock(view.at_ns)}, q or Ctrl-C ends the watch and makes the report"
    below = _cut(told, None if most is None else max(most // 2, 3), keeps_end=True)
    table = _cut(_table(view, width), None if most is None else max(most - len(below) - 1, 3))
    return Group(*(text_cell(*line) for line in (*table, *below, (end, "dim"))))


def _draining(view: View) -> Iterator[str]:
    """When each draining real server is empty; the service where it drains in several."""
    found = [
        cells
        for director in view.directors
        for cells in rows(director, view.at_ns)
        if len(cells) > len(HEADINGS) and cells[9]
    ]
    services = Counter((cells[0], cells[2]) for cells in found)
    for cells in found:
        service = f" ({cells[1].rpartition(' ')[0]})" if services[cells[0], cells[2]] > 1 else ""
        yield f"empty: {cells[2]} on {cells[0]}{service} {cells[9]}"


def _cut(
    lines: Sequence[tuple[str, str]], most: int | None, *, keeps_end: bool = False
) -> Sequence[tuple[str, str]]:
    """As many lines as there is room for, one of which counts the others."""
    if most is None or len(lines) <= most:
        return lines
    counted = (f"... and {len(lines) - most + 1} more lines: see --filter and --sort", "dim")
    kept = most - 1
    return [counted, *lines[-kept:]] if keeps_end else [*lines[:kept], counted]


def _table(view: View, width: int) -> list[tuple[str, str]]:
    """Lines and their styles: a heading for each service, a line or more for each real server."""
    shown = [
        [printable(cell) for cell in cells]
        for director in view.directors
        for cells in _table_rows(director, view.at_ns)
    ]
    servers = [HEADINGS, *(cells for cells in shown if len(cells) > 1)]
    natural = [max(map(len, column)) for column in zip(*servers, strict=True)]
    numbers = sum(natural[1:5]) + natural[6] + len(HEADINGS) - 1
    states = min(natural[5], max(width - natural[0] - numbers, LEAST_STATES))
    name = min(natural[0], max(width - states - numbers, LEAST_NAME))
    widths = (name, *natural[1:5], states, natural[6])
    lines = [(line, "") for line in _row_lines(HEADINGS, widths)]
    for cells in shown:
        texts = fitted(cells[0], width) if len(cells) == 1 else _row_lines(cells, widths)
        lines += [(text, "bold" if len(cells) == 1 else "") for text in texts]
    return lines


def _row_lines(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row; a name that is too long has a line to itself, and states go on below."""
    name, numbers, oldest = cells[0], cells[1:5], cells[6]
    alone = [name] if len(name) > widths[0] else []
    figures = " ".join(cell.rjust(n) for cell, n in zip(numbers, widths[1:5], strict=True))
    begin = f"{'' if alone else name:<{widths[0]}} {figures} "
    first, *more = wrapped(cells[5], widths[5]) or [""]
    line = f"{begin}{first:<{widths[5]}} {oldest}".rstrip()
    return [*alone, line, *(" " * len(begin) + part for part in more)]


def _table_rows(director: DirectorView, at_ns: int) -> Iterator[tuple[str, ...]]:
    """A heading for each service, in one cell, and a row for each real server."""
    above = None
    for cells in rows(director, at_ns):
        if cells[:2] != above:
            above = cells[:2]
            yield (" ".join(above),)
        if cells[2:]:
            yield (f"  -> {cells[2]}", *cells[3:9])


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


def plain_rows(view: View) -> list[PlainRow]:
    """A view where there is no terminal: one line for each real server."""
    return [
        _plain_row(cells, view.at_ns)
        for director in view.directors
        for cells in rows(director, view.at_ns)
    ]


def _plain_row(cells: Sequence[str], at_ns: int) -> PlainRow:
    head, names = clock(at_ns), (*COLUMNS, *NUMBERS, *DETAILS)
    if len(cells) < len(names):
        return PlainRow(key=cells[:2], state=None, text=f"{head} {' '.join(cells)}")
    numbers = [f"{name} {cell}" for name, cell in list(zip(names, cells, strict=True))[3:8]]
    more = [f"{name} {cell}" for name, cell in zip(DETAILS[1:], cells[8:], strict=True) if cell]
    drains = cells[9].partition(" ")[0]
    return PlainRow(
        key=cells[:3],
        state=(*cells[3:6], cells[7], "at" if drains[:1].isdigit() else drains),
        text=f"{head} {' '.join(cells[:3])}: {', '.join([*numbers, *more])}",
    )


def _reboot_row(line: str, at_ns: int) -> PlainRow:
    return PlainRow(key=line, state=None, text=f"{clock(at_ns)} {line}")


def span(seconds: float) -> str:
    """``4 s``, ``2 min 05 s``."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s"


def clock(at_ns: int) -> str:
    """Local time to the second, as the operator's own clock shows it."""
    return time.strftime("%H:%M:%S", time.localtime(at_ns / NS_PER_S))
