"""A service's lifetimes by counters alone, as the values that are printed."""

from dataclasses import dataclass
from typing import Literal

from analyzer.ipvs.states import TimeoutName
from analyzer.results import Estimate

Load = Literal["burst", "steady", "counted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedReading:
    """One lifetime that the counters allow, and the load that it implies.

    ``load`` is ``burst`` (no entry came while InActConn stood still), ``steady`` (entries came and
    expired at the same rate) or ``counted`` (Conns says how many came). ``timeout_names`` are all
    that the timeout may be.
    """

    timeout_names: tuple[TimeoutName, ...]
    state: str | None  # in which the entries waited; None where more than one is possible
    timeout_s: Estimate
    lifetime_s: Estimate  # the timeout and the timer's lateness
    configured_s: float | None
    load: Load
    load_s: float | None  # how long entries came; None where they still did at the end
    rate_per_s: float | None
    n: int  # entries that came; n_expired of them expired
    n_expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedService:
    """A service's entries by ActiveConn and InActConn alone, per forwarding method.

    ``settled``: the readings are those that hold, one for each group of entries; otherwise they
    are alternatives (there may be none), and ``why`` is the reason why none is claimed.
    """

    director: str
    service: str  # as ipvsadm names it: TCP 192.0.2.80:80
    protocol: str
    forwarding: str | None  # None where it was not polled
    settled: bool
    readings: tuple[CountedReading, ...]
    why: str | None


def service_name(one: CountedService) -> str:
    """``TCP 192.0.2.80:80 (dr)``."""
    return f"{one.service} ({one.forwarding})" if one.forwarding else one.service
