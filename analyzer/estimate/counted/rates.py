"""Connections a second, as ``ipvsadm --rate`` prints them: which bounds unseen arrivals.

The kernel (net/netfilter/ipvs/ip_vs_est.c) adds to CPS every 2 s a quarter of what it differs from
the connections of those 2 s, and ipvsadm prints whole numbers. So a connection adds 1/8 at the
next step, and at each later one a quarter of that is lost. Of connections that came at known times
this says what CPS must show, within bounds: the phase of the steps is not known, nor where between
two polls a connection came, and each real server's number is rounded. CPS is not turned back into
connections, which would multiply the rounding; a curve of arrivals is checked against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

STEP_S = 2.0
"""Seconds between two steps of the estimator, by the kernel's count."""

WIDEST_GAP_S = 12.0
"""The widest gap between polls: in a longer one connections leave no trace in CPS."""

_LONGEST_STEP_S = 2.2  # with the timer's lateness, and that of a busy kernel
_KEPT = 0.75
_WEIGHT_OF_NEW = 0.125
_ROUNDING = 0.51  # of a number that is printed whole, and of the kernel's own shifts
_SCATTER = 4.0  # standard deviations of independent arrivals
_VARIANCE = 0.072  # of CPS under independent arrivals, at one a second
_CLEARLY = 3.0
_GRAIN_S = 0.5
_STEPS = 40  # after them a hundred thousandth is left
_MEAN_OVER_S = 60.0
_APART_S = 0.2  # two commands of one poll


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRates:
    """CPS, summed over real servers.

    Attributes:
        t_s: when it was read, ascending; shape (n,).
        cps: its values; same shape.
        servers: how many numbers were added up, each rounded.
    """

    t_s: Floats
    cps: Ints
    servers: int

    @property
    def rounding(self) -> float:
        """How far the sum may be from what the kernel holds."""
        return _ROUNDING * self.servers

    def within(self, from_s: float, to_s: float) -> ConnectionRates:
        """The polls of a part of the log."""
        inside = (self.t_s >= from_s) & (self.t_s <= to_s)
        return ConnectionRates(t_s=self.t_s[inside], cps=self.cps[inside], servers=self.servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Births:
    """Connections that came, each between two instants.

    Attributes:
        from_s: not before; shape (m,).
        to_s: not after; same shape.
        n: how many; same shape.
    """

    from_s: Floats
    to_s: Floats
    n: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalCurve:
    """How many connections had come by each instant, if they came evenly between; on average."""

    t_s: Floats
    total: Floats


def births_seen(t_s: Floats, active: Ints, inactive: Ints) -> Births:
    """Connections without which the counters would not have risen; there may be more.

    Args:
        t_s: when the counters were polled; shape (n,).
        active: ActiveConn; same shape.
        inactive: InActConn; same shape.
    """
    rises = np.maximum(np.diff(active + inactive), 0)
    return Births(from_s=t_s[:-1], to_s=t_s[1:], n=rises.astype(np.float64))


def births_of_burst(t_s: Floats, active: Ints, inactive: Ints) -> Births:
    """Connections of a load whose entries all show as a rise of InActConn."""
    became = np.maximum(np.diff(inactive), 0) + np.diff(active)
    return Births(from_s=t_s[:-1], to_s=t_s[1:], n=np.maximum(became, 0).astype(np.float64))


def arrivals_of_steady(
    t_s: Floats, active: Ints, begin_s: float, load_s: float | None, rate_per_s: float
) -> ArrivalCurve:
    """That of a steady load, which InActConn need not show.

    Args:
        t_s: when the counters were polled; shape (n,).
        active: ActiveConn; same shape.
        begin_s: when entries began to become inactive.
        load_s: for how long they did; None where they still did at the end.
        rate_per_s: how many each second.
    """
    ends_s = t_s[-1] if load_s is None else min(begin_s + load_s, t_s[-1])
    knots_s = np.unique(np.r_[t_s, max(begin_s, t_s[0]), max(ends_s, t_s[0])])
    became = rate_per_s * np.clip(knots_s - begin_s, 0, ends_s - begin_s)
    total = became + np.interp(knots_s, t_s, active)
    return ArrivalCurve(t_s=knots_s, total=np.maximum.accumulate(total))


def believed(rates: ConnectionRates, seen: Births, slack_s: float) -> bool:
    """Whether the estimator ran all the time: it may be stopped from kernel 6.2 on.

    Args:
        rates: what was read.
        seen: connections that certainly came.
        slack_s: how far the two may be apart by their stamps.
    """
    least, _ = _bounds(rates, seen, slack_s)
    stood_still = (rates.cps == 0) & (least > rates.rounding)
    return bool((rates.cps > 0).any() and not stood_still.any())


def allow(rates: ConnectionRates, births: Births, slack_s: float) -> bool:
    """Whether these connections and no others show the CPS that was read, at each poll.

    Args:
        rates: what was read.
        births: the connections.
        slack_s: how far the two may be apart by their stamps.
    """
    least, most = _bounds(rates, births, slack_s)
    return _between(rates.cps, least, most, rates.rounding)


def allow_arrivals(rates: ConnectionRates, arrivals: ArrivalCurve, slack_s: float) -> bool:
    """Whether independent arrivals that follow a curve may show the CPS that was read.

    Each poll may scatter; the mean over a minute must be nearer.

    Args:
        rates: what was read.
        arrivals: of the connections.
        slack_s: how far the two may be apart.
    """
    steps_s = np.arange(-slack_s - STEP_S, slack_s + _GRAIN_S, _GRAIN_S)
    shown = np.array([_estimated(rates.t_s + step_s, arrivals) for step_s in steps_s])
    least = shown.min(axis=0)
    most = shown.max(axis=0) * (_LONGEST_STEP_S / STEP_S) + _before(rates)
    scatter = _SCATTER * np.sqrt(_VARIANCE * most)
    if not _between(rates.cps, least, most, rates.rounding + scatter):
        return False
    n_polls = int(_MEAN_OVER_S / np.diff(rates.t_s).max()) + 1
    if n_polls > len(rates.t_s):
        return True
    cps, least, most = (
        np.convolve(values, np.full(n_polls, 1 / n_polls), "valid")
        for values in (rates.cps, least, most)
    )
    return _between(cps, least, most, rates.rounding + _SCATTER * np.sqrt(most / _MEAN_OVER_S))


def _between(cps: Floats | Ints, least: Floats, most: Floats, slack: Floats | float) -> bool:
    return bool(((cps >= least - slack) & (cps <= most + slack)).all())


def _estimated(step_s: Floats, arrivals: ArrivalCurve) -> Floats:
    """CPS after a step at each of these instants."""
    ends_s = step_s[:, None] - STEP_S * np.arange(_STEPS + 1)
    came = -np.diff(np.interp(ends_s, arrivals.t_s, arrivals.total), axis=1)
    return np.asarray(came @ (_WEIGHT_OF_NEW * _KEPT ** np.arange(_STEPS)), dtype=np.float64)


def show_clearly(rates: ConnectionRates) -> bool:
    """Whether the load stood out of what rounding hides."""
    return float(rates.cps.max()) >= _CLEARLY * rates.rounding


def _bounds(rates: ConnectionRates, births: Births, slack_s: float) -> tuple[Floats, Floats]:
    """The least and the most that CPS may be at each poll."""
    some = births.n > 0
    slack_s += _APART_S
    youngest_s = rates.t_s[:, None] - births.to_s[some] - slack_s
    oldest_s = rates.t_s[:, None] - births.from_s[some] + slack_s
    least = _least_left(youngest_s, oldest_s) @ births.n[some]
    most = _most_left(youngest_s, oldest_s) @ births.n[some] + _before(rates)
    return least, most


def _before(rates: ConnectionRates) -> Floats:
    """The most that is left of what came before the first poll."""
    kept = _KEPT ** np.maximum((rates.t_s - rates.t_s[0]) / _LONGEST_STEP_S - 1, 0)
    at_first = float(rates.cps[0]) + rates.rounding * bool(rates.cps[0])
    return np.asarray(at_first * kept, dtype=np.float64)


def _least_left(youngest_s: Floats, oldest_s: Floats) -> Floats:
    """The share of a connection in CPS at the worst moment and phase: none before a step."""
    steps = np.floor(np.maximum(oldest_s, 0) / STEP_S)
    return np.asarray(np.where(youngest_s >= _LONGEST_STEP_S, _WEIGHT_OF_NEW * _KEPT**steps, 0.0))


def _most_left(youngest_s: Floats, oldest_s: Floats) -> Floats:
    """The share of a connection in CPS at the best moment and phase."""
    steps = np.maximum(np.floor(np.maximum(youngest_s, 0) / _LONGEST_STEP_S) - 1, 0)
    return np.asarray(np.where(oldest_s >= 0, _WEIGHT_OF_NEW * _KEPT**steps, 0.0))
