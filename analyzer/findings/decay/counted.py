"""Sentences about services of which only counters are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.estimate.counted.readings import HIDDEN
from analyzer.estimate.counted.results import service_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.estimate.counted.results import CountedReading, CountedService

MOST_SERVICES = 3
"""That a verdict names; the rest are counted."""


def said_of(services: Sequence[CountedService]) -> list[str]:
    """A clause for each service, those that are settled first; why, where nothing can be told."""
    ordered = sorted(services, key=lambda one: not one.settled)
    directors = {one.director for one in services}
    shown = [
        _prefixed(one, many=len(services) > 1, directors=len(directors) > 1)
        for one in ordered[:MOST_SERVICES]
    ]
    more = len(services) - len(shown)
    return [*shown, *([f"{more} more services are in the JSON document"] if more > 0 else [])]


def _prefixed(one: CountedService, *, many: bool, directors: bool) -> str:
    clause = "; ".join(map(_settled, one.readings)) if one.settled else _open(one)
    on = f" on {one.director}" if directors else ""
    return f"{service_name(one)}{on}: {clause}" if many or not one.settled else clause


_GOVERNED = {
    "tcpfin": "tcpfin governs the decay",
    "udp": "the udp timeout governs the decay",
    "fixed": "tcpfin does not matter here: {state} governs the decay, a timeout fixed in the "
    "kernel",
}


def _settled(reading: CountedReading) -> str:
    name = reading.timeout_names[0]
    timeout, lived = reading.timeout_s, reading.lifetime_s
    told = _GOVERNED[name].format(state=reading.state)
    text = (
        f"{told}: entries in {reading.state} lasted {lived.value:.1f} ± {lived.uncertainty:.1f} s, "
        f"derived from InActConn only, {_under(reading)} (timeout measured {timeout.value:.2f} ± "
        f"{timeout.uncertainty:.2f} s"
    )
    how = "fixed" if name == "fixed" else "configured"
    if reading.configured_s is None:
        return f"{text}, {how} not known)"
    return f"{text}, in agreement with the {reading.configured_s:g} s {how})"


def _open(one: CountedService) -> str:
    why = one.why or "the counters do not show it"
    if not one.readings:
        return f"which timeout governs is not known, because {why}"
    return f"which timeout governs is not known, because {why}: {alternatives(one)}"


def alternatives(one: CountedService) -> str:
    """The readings that the counters allow, in words; a bound where entries may be hidden."""
    at_most = "at most " if one.why == HIDDEN else ""
    return ", or ".join(at_most + _alternative(reading) for reading in one.readings)


def _alternative(reading: CountedReading) -> str:
    lived = reading.lifetime_s
    names = " or ".join(reading.timeout_names) or "no known timeout"
    return f"{lived.value:.1f} ± {lived.uncertainty:.1f} s ({names}) {_under(reading)}"


def _under(reading: CountedReading) -> str:
    """Which load a reading takes for granted."""
    over = "" if reading.load_s is None else f" over {reading.load_s:.0f} s"
    if reading.load == "steady":
        return f"under a steady load of {reading.rate_per_s or 0:.3g}/s{over}"
    if reading.load == "counted":
        return f"with {reading.n} entries counted by Conns"
    return f"after a burst{over}"
