"""Lifetimes that explain a series of counters: none, one, or two that fit equally.

Two readings are tried. *Burst*: the rises are all that came (or Conns says what came), and a
mixture of timeouts explains the falls. *Steady*: a load continued while the counter stood still. A
reading that fits alone stands; two that both fit are both given, unless CPS (``--rate``) shows
which connections came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.counted import rates
from analyzer.estimate.counted.hidden_arrivals import may_hide_arrivals
from analyzer.estimate.counted.mixture import MOST_MISFIT, decompose, others_fit
from analyzer.estimate.counted.names import fixed_timeouts_s
from analyzer.estimate.counted.steady import steady_load
from analyzer.ipvs.timers import granule_s
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.estimate.counted.mixture import Mixture
    from analyzer.estimate.counted.rates import ConnectionRates
    from analyzer.estimate.counted.results import Load
    from analyzer.estimate.counted.series import CounterSeries
    from analyzer.estimate.counted.steady import Steady
    from analyzer.results import Estimate

    Ints = npt.NDArray[np.int64]

MOST_OVERLAPPED = 0.1
"""Share of the entries: where more of them came while others expired, rises do not count
them."""

LEAST_EXPIRED = 0.5
"""Share of a burst: where fewer expired, these may be the few that were reset."""

NEVER = "InActConn never rose and fell by a timeout that would explain it"
BEFORE = "entries were there at the first poll: when they came was not seen"
STILL_ON = "InActConn had not fallen again by the last poll"
SHORT = "the log is shorter than entries would have to live"
UNEVEN = (
    "InActConn follows neither a burst nor one steady load: entries come unseen while others go, "
    "and load and lifetime cannot be told apart"
)
HIDDEN = (
    "entries may have come unseen while InActConn stood still, and the longer the load went on, "
    "the shorter they live"
)
ROUNDED = (
    "a load that rose and fell slowly, with entries that live only seconds, would look the same"
)
CONTRADICTED = (
    "no reading of InActConn explains CPS (--rate) too: the load was uneven, or the estimator "
    "stood still for a while (run_estimation)"
)
TWO = "two readings fit the counters about equally well"
MEAN = (
    "under a load that never changed only the mean lifetime shows, of connections that closed and "
    "that were reset (CLOSE, 10 s) together"
)
RESETS = (
    "connections that were reset (CLOSE, 10 s) may be among those that went; they would make the "
    "others seem to live otherwise than they do"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """One way to read the counters.

    Attributes:
        load: ``burst`` or ``steady``, or ``counted`` where Conns says what came.
        load_s: how long entries came; None where they still did at the end.
        n: entries that came; ``n_expired`` of them expired.
    """

    load: Load
    timeout_s: Estimate
    lifetime_s: Estimate
    load_s: float | None
    rate_per_s: float | None
    n: int
    n_expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretations:
    """What fits; ``claimed`` is empty where nothing fits, or more than one thing does.

    Attributes:
        claimed: the groups of entries of the one reading that stands, the largest first.
        open: readings between which the counters do not choose.
        why: why none is claimed; None where one is.
    """

    claimed: tuple[Interpretation, ...]
    open: tuple[Interpretation, ...] = ()
    why: str | None = None


def readings_of(series: CounterSeries, hz: int | None) -> Interpretations:
    """What a service's counters can mean.

    Args:
        series: its counters.
        hz: of its director; None where not known.
    """
    whole = _readings(series, hz)
    if whole.claimed or series.came is not None:
        return whole
    parts = _episodes(series)
    if len(parts) < 2:
        return whole
    return _agreed([_readings(part, hz) for part in parts], whole)


def _readings(series: CounterSeries, hz: int | None) -> Interpretations:
    fixed_s = fixed_timeouts_s(series.protocol, series.forwarding)
    came = series.came
    mixture = decompose(series.t_s, series.inactive, fixed_s, hz, came=came, stamp_s=series.stamp_s)
    burst = mixture if mixture is not None and mixture.fits else None
    if burst is not None and came is None and burst.overlapped > MOST_OVERLAPPED:
        burst = None  # the rises are not all that came
    if came is None and _earlier_entries_expired(series):
        return Interpretations(claimed=(), why=BEFORE)
    if came is not None:
        return _counted(burst, series, came, fixed_s)
    possible = mixture if mixture is not None and mixture.nearly_fits else None
    if not may_hide_arrivals(series.t_s, series.inactive, series.stamp_s):
        return _of_rises(burst, series, fixed_s)
    steady = steady_load(series.t_s, series.inactive, hz, series.stamp_s)
    rates_read = _rates_read(series)
    if rates_read is None or not (burst or possible or steady):
        return _chosen(burst or possible, steady, series)
    return _by_rates(rates_read, burst or possible, steady, series, fixed_s)


def _of_rises(
    burst: Mixture | None, series: CounterSeries, fixed_s: Sequence[float]
) -> Interpretations:
    """Interpretations where nothing can have arrived unseen."""
    if burst is None:
        return Interpretations(claimed=(), why=_why(series))
    rates_read = _rates_read(series)
    why = _why_not_claimed(burst, series, fixed_s)
    if why is None and rates_read and not _allows_burst(rates_read, series):
        why = CONTRADICTED
    bursts = _of_mixture(burst, "burst")
    return (
        Interpretations(claimed=(), open=bursts, why=why)
        if why
        else Interpretations(claimed=bursts)
    )


def _why_not_claimed(burst: Mixture, series: CounterSeries, fixed_s: Sequence[float]) -> str | None:
    """Why a burst that stands is not claimed after all."""
    if _resets_among(series, burst, fixed_s):
        return RESETS
    return STILL_ON if burst.expired < LEAST_EXPIRED * burst.arrived else None


def _earlier_entries_expired(series: CounterSeries) -> bool:
    """Whether a good part of what expired had been there at the first poll."""
    there = int(series.inactive[0])
    return there - int(series.inactive.min()) > MOST_MISFIT * int(series.inactive.max())


# -- what CPS shows ------------------------------------------------------------------------------


def _rates_read(series: CounterSeries) -> ConnectionRates | None:
    """CPS, where it is a measurement."""
    if series.rates is None or len(series.rates.t_s) < _FEWEST_RATES:
        return None
    seen = rates.births_seen(series.t_s, series.active, series.inactive)
    return series.rates if rates.believed(series.rates, seen, series.stamp_s) else None


_FEWEST_RATES = 3


def _by_rates(
    rates_read: ConnectionRates,
    burst: Mixture | None,
    steady: Steady | None,
    series: CounterSeries,
    fixed_s: Sequence[float],
) -> Interpretations:
    """What stands of a counter that may hide arrivals, which CPS shows, if roughly."""
    allows_burst = burst is not None and _allows_burst(rates_read, series)
    allows_steady = steady is not None and _allows_steady(rates_read, series, steady)
    chosen = _chosen(burst, steady, series)
    if not allows_burst and not allows_steady:
        if chosen.why == HIDDEN:  # CPS confirms it
            return chosen
        return Interpretations(claimed=(), open=chosen.claimed or chosen.open, why=CONTRADICTED)
    if burst is None or not allows_burst:
        return _chosen(None, steady, series)
    if allows_steady or not burst.fits or not rates.show_clearly(rates_read):
        return chosen
    why = _why_not_claimed(burst, series, fixed_s)
    bursts = _of_mixture(burst, "burst")
    return (
        Interpretations(claimed=(), open=bursts, why=why)
        if why
        else Interpretations(claimed=bursts)
    )


def _allows_burst(rates_read: ConnectionRates, series: CounterSeries) -> bool:
    births = rates.births_of_burst(series.t_s, series.active, series.inactive)
    return rates.allow(rates_read, births, series.stamp_s)


def _allows_steady(rates_read: ConnectionRates, series: CounterSeries, steady: Steady) -> bool:
    arrivals = rates.arrivals_of_steady(
        series.t_s, series.active, steady.begin_s, steady.load_s, steady.rate_per_s
    )
    poll_s = float(np.median(np.diff(series.t_s)))  # as far as the onset is uncertain
    return rates.allow_arrivals(rates_read, arrivals, series.stamp_s + poll_s)


def _counted(
    burst: Mixture | None, series: CounterSeries, came: Ints, fixed_s: Sequence[float]
) -> Interpretations:
    """Interpretations with Conns: nothing arrived unseen, but some may have been reset."""
    if burst is None:
        return Interpretations(claimed=(), why=_why(series))
    readings = _of_mixture(burst, "counted")
    span_s = float(series.t_s[-1] - series.t_s[0])
    if any(part.timeout_s.value > span_s for part in burst.components):
        return Interpretations(claimed=(), why=SHORT)
    if burst.expired < LEAST_EXPIRED / 2 * burst.arrived:
        return Interpretations(claimed=(), open=readings, why=STILL_ON)
    parts = burst.components
    shorter = [value_s for value_s in fixed_s if value_s < parts[0].timeout_s.value / 2]
    if len(parts) == 1 and any(
        others_fit(series.t_s, series.inactive, burst, value_s, came, series.stamp_s)
        for value_s in shorter
    ):
        return Interpretations(claimed=(), open=readings, why=MEAN)
    return Interpretations(claimed=readings)


def _chosen(burst: Mixture | None, steady: Steady | None, series: CounterSeries) -> Interpretations:
    """Interpretations where entries may have arrived unseen."""
    bursts = _of_mixture(burst, "burst") if burst else ()
    if steady is None:
        fits = burst is not None and burst.fits
        if burst is not None and burst.expired < LEAST_EXPIRED * burst.arrived:
            return Interpretations(claimed=(), why=STILL_ON)
        return Interpretations(claimed=(), open=bursts, why=HIDDEN if fits else _why(series))
    other = (_of_steady(steady, series),)
    if bursts:
        return Interpretations(claimed=(), open=(*other, bursts[0]), why=TWO)
    if not steady.is_sharp:
        return Interpretations(claimed=(), open=other, why=ROUNDED)
    if steady.load_s is None:  # a burst that stands, but for a few resets, looks like that
        return Interpretations(claimed=(), open=other, why=STILL_ON)
    return Interpretations(claimed=other)


def _why(series: CounterSeries) -> str:
    change = np.diff(series.inactive)
    if not (change > 0).any() or not (change < 0).any():
        return NEVER
    if series.inactive[0] > 0:
        return BEFORE
    return STILL_ON if series.inactive[-1] > series.inactive.max() / 2 else UNEVEN


def _of_mixture(mixture: Mixture, load: Load) -> tuple[Interpretation, ...]:
    return tuple(
        Interpretation(
            load=load,
            timeout_s=part.timeout_s,
            lifetime_s=part.lifetime_s,
            load_s=mixture.came_over_s,
            rate_per_s=None,
            n=round(part.n),
            n_expired=round(part.n),
        )
        for part in mixture.components
    )


def _of_steady(steady: Steady, series: CounterSeries) -> Interpretation:
    return Interpretation(
        load="steady",
        timeout_s=steady.timeout_s,
        lifetime_s=steady.lifetime_s,
        load_s=steady.load_s,
        rate_per_s=steady.rate_per_s,
        n=steady.n,
        n_expired=max(steady.n - int(series.inactive[-1]), 0),
    )


MOST_RESETS = 0.1
"""Share of the time of arrivals: entries from more of it may have been reset."""


def _resets_among(series: CounterSeries, mixture: Mixture, fixed_s: Sequence[float]) -> bool:
    """Whether entries of a fixed timeout would have expired while those of the free one did."""
    free = [part for part in mixture.components if part.is_free]
    if not free or len(mixture.components) > 1:
        return False
    measured = free[0].timeout_s
    change = np.diff(series.inactive)
    rises, falls = np.flatnonzero(change > 0), np.flatnonzero(change < 0)
    begin_s, end_s = series.t_s[rises[0]], series.t_s[rises[-1] + 1]
    for value_s in fixed_s:
        if abs(value_s - measured.value) <= measured.uncertainty:
            continue
        late_s = max(granule_s(value_s, hz) for hz in KNOWN_HZ)
        from_s = max(begin_s, series.t_s[falls[0]] - value_s - late_s)
        to_s = min(end_s, series.t_s[falls[-1] + 1] - value_s)
        if to_s - from_s > MOST_RESETS * (end_s - begin_s):
            return True
    return False


# -- several loads in one log --------------------------------------------------------------------


def _episodes(series: CounterSeries) -> list[CounterSeries]:
    """The parts between which the counter was 0, each with a poll at 0 on either side."""
    held = np.flatnonzero(series.inactive > 0)
    if not len(held):
        return []
    breaks = np.flatnonzero(np.diff(held) > 1)
    firsts = np.r_[held[0], held[breaks + 1]]
    lasts = np.r_[held[breaks], held[-1]]
    return [
        _part(series, max(int(first) - 1, 0), int(last) + 2)
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _part(series: CounterSeries, begin: int, end: int) -> CounterSeries:
    cut = slice(begin, end)
    return replace(
        series,
        t_s=series.t_s[cut],
        active=series.active[cut],
        inactive=series.inactive[cut],
        rates=None if series.rates is None else series.rates.within(*series.t_s[cut][[0, -1]]),
    )


def _agreed(parts: list[Interpretations], whole: Interpretations) -> Interpretations:
    """The one timeout that has a reading in every part that can be read; else what holds of all."""
    complete_parts = [
        part for part in parts if part.why in (None, TWO)
    ]  # no alternative is missing
    read = [options for part in complete_parts if (options := (*part.claimed, *part.open))]
    if len(read) < 2:
        return whole
    agreed = [option for option in read[0] if all(_has(option, others) for others in read[1:])]
    if len(agreed) != 1:
        return whole
    alike = [option for options in read for option in options if _overlap(option, agreed[0])]
    best = min(alike, key=lambda option: option.timeout_s.uncertainty)
    n = sum(option.n for option in alike)
    expired = sum(option.n_expired for option in alike)
    return Interpretations(claimed=(replace(best, n=n, n_expired=expired),))


def _has(option: Interpretation, others: Sequence[Interpretation]) -> bool:
    return any(_overlap(option, other) for other in others)


def _overlap(interpretation: Interpretation, other: Interpretation) -> bool:
    apart_s = abs(interpretation.timeout_s.value - other.timeout_s.value)
    return apart_s <= interpretation.timeout_s.uncertainty + other.timeout_s.uncertainty
