"""Trends over the runs of a folder: each quantity over time, and where it changed.

A run is compared with those since the last change of the same quantity. A timeout changed if its
bounds and the last one's do not meet; a count of failures by Fisher's exact test; another quantity
if it lies further from the median of at least four than their own spread explains. A run of another
load begins anew what depends on the load.
"""

import bisect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analyzer.across_runs.past_run import PastRun, RunRow, Unit, Value
from analyzer.across_runs.regression import count_difference
from analyzer.documents import JsonDocument

Change = Literal["higher", "lower"]

LEAST_BEFORE = 4
"""Fewest earlier runs; the spread of fewer is not known."""
TIMEOUT_ALLOWED_S = 0.1
SPREADS, SHARE = 4.0, 0.10
FLOORS: Mapping[Unit, float] = {"s": TIMEOUT_ALLOWED_S, "ms": 5.0, "/s": 1.0, "": 2.0}
"""Changes within this never count, nor those within a tenth of the median."""
_SPREAD_OF_MAD = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One run's value in a trend; ``change`` where it lies beyond noise, with ``why``.

    Attributes:
        uncertainty: None where it is exact or its uncertainty is not known.
        of: the number that a count is out of; None if it is no such count.
    """

    run: str
    value: float
    uncertainty: float | None
    of: int | None
    change: Change | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One quantity over the runs that measured it, the oldest first."""

    quantity: str
    unit: Unit
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A folder that could not be read as a run."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History(JsonDocument):
    """A folder's runs, the oldest first, as ``analyzer history --json`` prints them."""

    folder: str
    runs: tuple[RunRow, ...]
    trends: tuple[Trend, ...]
    unreadable: tuple[Unreadable, ...] = ()


def history(folder: str, runs: Iterable[PastRun], unreadable: Sequence[Unreadable] = ()) -> History:
    """The runs in the order of their start, and each quantity's trend."""
    ordered = sorted(runs, key=lambda run: (run.row.started_at_ns, run.row.name))
    names = dict.fromkeys(name for run in ordered for name in run.values)
    return History(
        folder=folder,
        runs=tuple(run.row for run in ordered),
        trends=tuple(_trend(name, ordered) for name in names),
        unreadable=tuple(unreadable),
    )


def _trend(name: str, runs: Sequence[PastRun]) -> Trend:
    points: list[Point] = []
    noise = _Noise()
    load = ""
    unit: Unit = ""
    for run in runs:
        value = run.values.get(name)
        if value is None:
            continue
        if run.load != load and not name.startswith("timeout("):
            noise = _Noise()
        load, unit = run.load, value.unit
        change, why = noise.take(value)
        points.append(_point(run.row.name, value, change, why))
    return Trend(quantity=name, unit=unit, points=tuple(points))


def _point(run: str, value: Value, change: Change | None, why: str) -> Point:
    return Point(
        run=run,
        value=value.value,
        uncertainty=value.open or None,
        of=value.whole,
        change=change,
        why=why or None,
    )


class _Level:
    """Values of a quantity since its last change, summed up so that one more costs the same."""

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self.last: Value | None = None
        self.count = self.whole = 0
        self.ordered: list[float] = []
        for value in values:
            self.add(value)

    def add(self, value: Value) -> None:
        self.last = value
        self.count += int(value.value) if value.whole is not None else 0
        self.whole += value.whole or 0
        bisect.insort(self.ordered, value.value)


class _Noise:
    """A quantity's usual values so far, and values beyond them that may be a new level."""

    def __init__(self) -> None:
        self._since = _Level()
        self._beyond: list[Value] = []

    def take(self, value: Value) -> tuple[Change | None, str]:
        """The change that this value is, if any, with the reason; single outliers are dropped."""
        change, why = _changed(self._since, value)
        if change is None:
            self._since.add(value)
            self._beyond.clear()
            return None, ""
        self._beyond.append(value)
        is_first = len(self._beyond) == 1
        if value.unit == "s" or value.whole is not None or len(self._beyond) == LEAST_BEFORE:
            self._since, self._beyond = _Level(self._beyond), []
        return (change, why) if is_first else (None, "")


def _changed(since: _Level, now: Value) -> tuple[Change | None, str]:
    if since.last is None:
        return None, ""
    if now.unit == "s":
        return _timeout_changed(since.last, now)
    if now.whole is not None:
        return _count_changed(since, now)
    return _beyond_spread(since.ordered, now)


def _timeout_changed(before: Value, now: Value) -> tuple[Change | None, str]:
    off = now.value - before.value
    allowed = before.open + now.open + TIMEOUT_ALLOWED_S
    why = f"off by {abs(off):.2f} s, {allowed:.2f} s are within both uncertainties"
    return (None, "") if abs(off) <= allowed else (_way(off), why)


def _count_changed(since: _Level, now: Value) -> tuple[Change | None, str]:
    before = since.count, since.whole
    difference = count_difference("", before, (int(now.value), now.whole or 0))
    if difference.verdict not in ("higher", "lower"):
        return None, ""
    return ("higher" if difference.verdict == "higher" else "lower"), difference.by


def _beyond_spread(since: Sequence[float], now: Value) -> tuple[Change | None, str]:
    if len(since) < LEAST_BEFORE:
        return None, ""
    median = _median_of(since.__getitem__, len(since))
    spread = _SPREAD_OF_MAD * median_distance(since, median)
    allowed = max(SPREADS * spread, SHARE * abs(median), FLOORS[now.unit])
    off = now.value - median
    why = f"{abs(off):.3g} from the median of {len(since)} runs, {allowed:.3g} is their noise"
    return (None, "") if abs(off) <= allowed else (_way(off), why)


def _median_of(value_at: Callable[[int], float], n: int) -> float:
    """The median of n values, by their rank."""
    high = value_at(n // 2)
    return high if n % 2 else (value_at(n // 2 - 1) + high) / 2


def median_distance(ordered: Sequence[float], centre: float) -> float:
    """The median of how far ascending values lie from a centre, without looking at them all.

    The values below the centre, backwards, and those above are two lists of ascending distances:
    what is at a rank in both together is found by bisection in one.
    """
    n, above = len(ordered), bisect.bisect_left(ordered, centre)

    def below_at(place: int) -> float:
        return centre - ordered[above - 1 - place] if place < above else math.inf

    def above_at(place: int) -> float:
        return ordered[above + place] - centre if place < n - above else math.inf

    def at(rank: int) -> float:
        """The distance of a rank: ``taken`` of the lower ones lie below the centre."""
        low, high = max(0, rank - (n - above)), min(rank, above)
        while low < high:
            taken = (low + high) // 2
            if below_at(taken) < above_at(rank - taken - 1):
                low = taken + 1
            else:
                high = taken
        return min(below_at(low), above_at(rank - low))

    return _median_of(at, n)


def _way(off: float) -> Change:
    return "higher" if off > 0 else "lower"
