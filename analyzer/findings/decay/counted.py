"""Sentences about services known only by counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.estimate.counted.readings import HIDDEN
from analyzer.estimate.counted.results import service_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.estimate.counted.results import CountedReading, CountedService

MOST_SERVICES = 3
"""Services that a verdict names; the rest are counted."""


def counter_sentences(services: Sequence[CountedService]) -> list[str]:
    """A clause for each service, settled ones first; the reason where nothing is known."""
    ordered = sorted(services, key=lambda service: not service.settled)
    directors = {service.director for service in services}
    shown = [
        _prefixed(service, many=len(services) > 1, directors=len(directors) > 1)
        for service in ordered[:MOST_SERVICES]
    ]
    more = len(services) - len(shown)
    return [*shown, *([f"{more} more services are in the JSON document"] if more > 0 else [])]


def _prefixed(service: CountedService, *, many: bool, directors: bool) -> str:
    clause = "; ".join(map(_settled, service.readings)) if service.settled else _unsettled(service)
    on = f" on {service.director}" if directors else ""
    return f"{service_name(service)}{on}: {clause}" if many or not service.settled else clause


_GOVERNED = {
    "tcpfin": "tcpfin governs the decay",
    "udp": "the udp timeout governs the decay",
    "fixed": "tcpfin does not matter here: {state} governs the decay, a timeout fixed in the "
    "kernel",
}


def _settled(reading: CountedReading) -> str:
    name = reading.timeout_names[0]
    timeout, lifetime = reading.timeout_s, reading.lifetime_s
    governs = _GOVERNED[name].format(state=reading.state)
    text = (
        f"{governs}: entries in {reading.state} lasted {lifetime.value:.1f} ± "
        f"{lifetime.uncertainty:.1f} s, "
        f"derived from InActConn only, {_under(reading)} (timeout measured {timeout.value:.2f} ± "
        f"{timeout.uncertainty:.2f} s"
    )
    how = "fixed" if name == "fixed" else "configured"
    if reading.configured_s is None:
        return f"{text}, {how} not known)"
    return f"{text}, in agreement with the {reading.configured_s:g} s {how})"


def _unsettled(service: CountedService) -> str:
    why = service.why or "the counters do not show it"
    if not service.readings:
        return f"which timeout governs is not known, because {why}"
    return f"which timeout governs is not known, because {why}: {alternatives(service)}"


def alternatives(service: CountedService) -> str:
    """The readings that the counters allow, in words; a bound where entries may be hidden."""
    at_most = "at most " if service.why == HIDDEN else ""
    return ", or ".join(at_most + _alternative(reading) for reading in service.readings)


def _alternative(reading: CountedReading) -> str:
    lifetime = reading.lifetime_s
    names = " or ".join(reading.timeout_names) or "no known timeout"
    return f"{lifetime.value:.1f} ± {lifetime.uncertainty:.1f} s ({names}) {_under(reading)}"


def _under(reading: CountedReading) -> str:
    """The load that a reading assumes, in words."""
    over = "" if reading.load_s is None else f" over {reading.load_s:.0f} s"
    if reading.load == "steady":
        return f"under a steady load of {reading.rate_per_s or 0:.3g}/s{over}"
    if reading.load == "counted":
        return f"with {reading.n} entries counted by Conns"
    return f"after a burst{over}"
