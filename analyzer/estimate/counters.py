"""Lifetimes of a director from its counters alone, without entries or packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.counted.names import names_of
from analyzer.estimate.counted.readings import CONTRADICTED, STILL_ON, readings_of
from analyzer.estimate.counted.results import CountedReading, CountedService, service_name
from analyzer.estimate.counted.series import series_of, uncounted
from analyzer.ipvs.timers import granule_s
from analyzer.results import Lifetime, NotMeasured, Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analyzer.estimate.counted.names import Name
    from analyzer.estimate.counted.readings import Interpretation
    from analyzer.estimate.counted.series import CounterSeries
    from analyzer.recording.director import Director

MOST_SERVICES = 20
"""Services that are examined, those whose counters moved most; each takes a good part of a
second."""

CLOSE_S = 10.0

DISAGREES = "what was read is none of the timeouts that are configured or fixed for its entries"
NAMELESS = "the protocol and forwarding leave open which timeout it is"
COARSE = "the polls are about as far apart as the entries live"
VAGUE = 0.75
"""Share of a timeout: one that is less certain than this is not measured."""

TIMEOUTS_OF_INTEREST = {"TCP": "tcpfin", "UDP": "udp", "SCTP": "lifetimes", "FWM": "tcpfin and udp"}
"""The timeouts that an operator looks for in a service, by its protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFindings:
    """Lifetimes by a director's counters: the rows that are claimed, each service, and the gaps."""

    lifetimes: list[Lifetime]
    services: list[CountedService]
    not_measured: list[NotMeasured]


def counted_lifetimes(
    director: Director, services: pd.DataFrame, counted: pd.DataFrame, zero_ns: int
) -> CounterFindings:
    """Which timeouts explain InActConn of each service, and what it leaves open.

    Args:
        director: its facts.
        services: its polls with ActiveConn and InActConn.
        counted: its polls with Conns or CPS.
        zero_ns: the run's start, Unix time.
    """
    series = series_of(services, counted, director.name, zero_ns)
    moved = sorted(series, key=_moved, reverse=True)
    examined = [(counter, _service(counter, director)) for counter in moved[:MOST_SERVICES]]
    any_moved = any(_moved(counter) for counter, _ in examined)
    shown = [service for counter, service in examined if _moved(counter) or not any_moved]
    shown += [_uncounted(director, *row) for row in uncounted(services, counted)]
    rows = [row for service in shown if service.settled for row in _rows(director, service)]
    gaps = [gap for service in shown for gap in _gaps(service, director)]
    left_out = len(series) - len(examined)
    if left_out > 0:
        why = f"only the {MOST_SERVICES} whose counters moved most were examined"
        gaps.append(NotMeasured(what=f"lifetimes of {left_out} more services", why=why))
    return CounterFindings(
        lifetimes=sorted(rows, key=lambda row: -row.n),
        services=shown,
        not_measured=[*_in_any_case(director, rows), *gaps],
    )


def _uncounted(
    director: Director, service: str, protocol: str, rate_per_s: float
) -> CountedService:
    """A service of which only ``ipvsadm --stats`` was printed."""
    why = f"Conns (--stats) says that {rate_per_s:.3g} connections a second came, and nothing of "
    return CountedService(
        director=director.name,
        service=service,
        protocol=protocol,
        forwarding=None,
        settled=False,
        readings=(),
        why=why + "when their entries go: InActConn, by ipvsadm -Ln, was not printed",
    )


def _moved(series: CounterSeries) -> int:
    return int(np.abs(np.diff(series.inactive)).sum())


def _service(series: CounterSeries, director: Director) -> CountedService:
    """One service's readings, by name; what is configured chooses between several."""
    read = readings_of(series, director.hz)
    options = [
        (option, names_of(series.protocol, series.forwarding, option.timeout_s, director))
        for option in read.claimed or read.open
    ]
    known = [pair for pair in options if len(pair[1]) == 1]
    settled, why = bool(read.claimed) and len(known) == len(options), read.why
    if read.claimed and not settled:
        why = NAMELESS if all(names for _, names in options) else DISAGREES
    fitting = [pair for pair in known if pair[1][0].timeout_s is not None]
    choosable = not read.claimed and read.why not in (STILL_ON, CONTRADICTED)
    if choosable and len(fitting) == 1 and _decided(series, director, options, fitting[0]):
        settled, options, why = True, fitting, None
    if settled and any(map(_is_vague, (option for option, _ in options))):
        settled, why = False, COARSE
    return CountedService(
        director=series.director,
        service=series.service,
        protocol=series.protocol,
        forwarding=series.forwarding,
        settled=settled,
        readings=tuple(_reading(*pair) for pair in options),
        why=None if settled else why,
    )


def _is_vague(option: Interpretation) -> bool:
    return option.timeout_s.uncertainty > VAGUE * option.timeout_s.value


def _decided(
    series: CounterSeries,
    director: Director,
    options: Sequence[tuple[Interpretation, tuple[Name, ...]]],
    fitting: tuple[Interpretation, tuple[Name, ...]],
) -> bool:
    """Whether of several readings only this one is a timeout that these entries can wait for.

    In nat a closed connection waits in TIME_WAIT, whatever else is set.
    """
    is_fixed = fitting[1][0].timeout_name == "fixed"
    if director.timeouts is None and not (is_fixed and series.forwarding in ("nat", "local")):
        return False
    others = [names for option, names in options if option is not fitting[0]]
    return all(len(names) <= 1 for names in others)


def _reading(option: Interpretation, names: tuple[Name, ...]) -> CountedReading:
    name = names[0] if len(names) == 1 else None
    return CountedReading(
        timeout_names=tuple(dict.fromkeys(each.timeout_name for each in names)),
        state=name.state if name else None,
        timeout_s=option.timeout_s,
        lifetime_s=option.lifetime_s,
        configured_s=name.timeout_s if name else None,
        load=option.load,
        load_s=option.load_s,
        rate_per_s=option.rate_per_s,
        n=option.n,
        n_expired=option.n_expired,
    )


def _rows(director: Director, service: CountedService) -> list[Lifetime]:
    return [
        Lifetime(
            director=service.director,
            state=reading.state or "",
            counted="inactive",
            timeout_name=reading.timeout_names[0],
            timeout_s=reading.configured_s,
            n=reading.n,
            n_expired=reading.n_expired,
            lifetime_s=Spread(
                mean=reading.lifetime_s.value,
                min=reading.lifetime_s.value,
                max=reading.lifetime_s.value,
                uncertainty=reading.lifetime_s.uncertainty,
            ),
            timeout_measured_s=reading.timeout_s,
            granule_s=granule_s(reading.configured_s or reading.timeout_s.value, director.hz)
            if director.hz
            else None,
            prediction_error_s=None,
            service=service.service,
            protocol=service.protocol,
            forwarding=service.forwarding,
        )
        for reading in service.readings
    ]


# -- what is not measured ------------------------------------------------------------------------


def _in_any_case(director: Director, rows: list[Lifetime]) -> list[NotMeasured]:
    why = "from counters alone: neither entries nor packets were seen"
    gaps = []
    if rows:
        gaps.append(NotMeasured(what=f"states and single lifetimes on {director.name}", why=why))
    if rows and all(row.timeout_name == "fixed" for row in rows):
        why = "no entry is explained by a timeout other than the kernel's fixed ones"
        gaps.append(NotMeasured(what=f"tcpfin on {director.name}", why=why))
    return gaps


def _gaps(service: CountedService, director: Director) -> list[NotMeasured]:
    on = f"{service.director} by {service_name(service)}"
    if not service.settled:
        what = TIMEOUTS_OF_INTEREST.get(service.protocol, "lifetimes")
        return [NotMeasured(what=f"{what} on {on}", why=service.why or NAMELESS)]
    gaps = []
    if service.protocol == "UDP":
        why = "each datagram starts an entry's timeout anew, which counters do not show: udp is at "
        why += "most what was read"
        gaps.append(NotMeasured(what=f"renewals of UDP entries on {on}", why=why))
    for reading in service.readings:
        ten_s = abs(reading.timeout_s.value - CLOSE_S) <= reading.timeout_s.uncertainty
        if reading.timeout_names == ("tcpfin",) and ten_s:
            why = "10 s is also what a reset connection waits (CLOSE); counters cannot tell them"
            gaps.append(NotMeasured(what=f"closed or reset, on {on}", why=why))
    return gaps
