"""The lines of a watch that say when a real server may be rebooted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.drains.reboot import ServerUse, reboots
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.drains.reboot import Reboot
    from loadgen.live.view import DirectorView, ServerView, View

_MOST_OBSTACLES = 2


def reboot_lines(view: View, clock: Callable[[int], str], *, watches_all: bool = True) -> list[str]:
    """A line for each real server that drains on some director.

    Args:
        view: of all directors.
        clock: Unix nanoseconds as a time of day.
        watches_all: else other services may use a server as well, which the line says.
    """
    lost = [f"{director.name} does not answer" for director in view.directors if not director.up]
    found = reboots((use for director in view.directors for use in _uses(director)), lost)
    names = [director.name for director in view.directors]
    where = f"on {names[0]}" if len(names) == 1 else "on all directors"
    if not watches_all:
        where += ", as far as the watched services go"
    return [_line(reboot, where, view.at_ns, clock) for reboot in found]


def _line(reboot: Reboot, where: str, at_ns: int, clock: Callable[[int], str]) -> str:
    if reboot.after_ns is None:
        shown = "; ".join(reboot.obstacles[:_MOST_OBSTACLES])
        more = len(reboot.obstacles) - _MOST_OBSTACLES
        others = f"; and {more} more" if more > 0 else ""
        return f"not safe to reboot {reboot.real_server}: {shown}{others}"
    if reboot.after_ns <= at_ns:
        return f"safe to reboot {reboot.real_server} now: it holds no entry {where}"
    whole_ns = -(-reboot.after_ns // NS_PER_S) * NS_PER_S  # rounded up
    return f"safe to reboot {reboot.real_server} after {clock(whole_ns)} {where}"


def _uses(director: DirectorView) -> Iterator[ServerUse]:
    for server in director.servers:
        yield ServerUse(
            director=director.name,
            real_server=server.real_server,
            is_draining=server.weight == 0,
            last_gone_ns=server.forecast.last_ns if server.forecast else 0,
            obstacle=_obstacle(server, director.name),
        )


def _obstacle(server: ServerView, director: str) -> str | None:
    if server.weight:
        return f"weight {server.weight} on {director} ({server.service})"
    if server.held is None:
        return f"entries of {director} are not read"
    forecast = server.forecast
    if forecast is None:
        return f"expiry on {director} is not known yet" if server.held.states else None
    if forecast.renewed:
        who = "clients come back" if forecast.clients else "traffic goes on"
        return f"{who} on {director} ({server.service})"
    return None
