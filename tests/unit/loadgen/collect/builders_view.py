"""Views as the watch makes them, by hand."""

from __future__ import annotations

from typing import Any

from loadgen.director.counters import Counters
from loadgen.live.view import Arrivals, DirectorView, HeldEntries, ServerView, View

NOW_NS = 1_795_372_000_000_000_000
NS = 1_000_000_000


def server(**changed: Any) -> ServerView:
    """A real server in dr with 20 entries in FIN_WAIT, of which the oldest has 12 s left."""
    values: dict[str, Any] = {
        "service": "TCP 192.168.10.2:80",
        "protocol": "TCP",
        "vip": "192.168.10.2",
        "port": 80,
        "fwmark": None,
        "scheduler": "rr",
        "real_server": "192.168.10.21",
        "real_port": 80,
        "forwarding": "dr",
        "weight": 1,
        "active": 3,
        "inactive": 20,
        "counters": Counters(100, 600, 0, 40_000, 0),
        "arrivals": Arrivals(per_s=4.0, over_s=1.0, age_s=0.5),
        "held": HeldEntries(states={"FIN_WAIT": 20}, oldest_ends_ns=NOW_NS + 12 * NS),
        "forecast": None,
    }
    return ServerView(**values | changed)


def director(*servers: ServerView, name: str = "bal01", up: bool = True) -> DirectorView:
    """A director that was polled just now."""
    return DirectorView(
        name=name, up=up, polled_ns=NOW_NS - NS // 10, reads_entries=True, servers=servers
    )


def view(*directors: DirectorView) -> View:
    """What all directors hold now."""
    return View(at_ns=NOW_NS, directors=directors)
