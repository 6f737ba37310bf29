"""One director's part of a recording, taken out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analyzer.observed.absences import absences
from analyzer.observed.entries import entry_polls_of, ns, tracked_by
from analyzer.recording.clock import CLOCK_STEP_S, DirectorClock, clock_from_polls, clock_steps
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.arrays import Bools, Floats, Ints
    from analyzer.observed.parted import Parted
    from analyzer.recording.director import Director
    from analyzer.recording.polls import EntryPolls


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """A boot instant that moved between two polls, without a reboot that was seen.

    Attributes:
        at_ns: when the poll after it was asked.
        moved_s: by how much, on this host's clock.
    """

    at_ns: int
    moved_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorRecord:
    """What a recording has of one director.

    Attributes:
        services, entries, polls, events: its rows of the recording's tables; entries ``numbered``.
        counted: its polls of counters that are read one by one, or of rates.
        changes: of its entries as recorded, persistence templates included.
        entry_polls: its polls of entries.
        tracked: ``entries.tracked_by`` of it.
        absences: of its real servers.
        clock: by its polls.
        clock_steps: where that clock, or this host's, was set; ascending.
    """

    services: pd.DataFrame
    counted: pd.DataFrame
    entries: Parted
    changes: Parted
    polls: pd.DataFrame
    events: pd.DataFrame
    entry_polls: EntryPolls
    tracked: Parted
    absences: pd.DataFrame
    clock: DirectorClock
    clock_steps: tuple[ClockStep, ...]

    @property
    def most_buckets(self) -> int | None:
        """The most buckets of its table at any poll; None where no poll had their number."""
        polled = self.polls["buckets"].dropna()
        return int(polled.max()) if len(polled) else None


def record_of(
    director: Director,
    *,
    services: pd.DataFrame,
    counted: pd.DataFrame,
    entries: Parted,
    changes: Parted,
    polls: pd.DataFrame,
    events: pd.DataFrame,
    zero_ns: int,
) -> DirectorRecord:
    """One director's part of a recording.

    Args:
        director: its facts.
        services: the recording's polls of services.
        counted: those of counters or rates.
        entries: its ``numbered`` changes.
        changes: the same as recorded.
        polls: the recording's.
        events: the recording's.
        zero_ns: the run's start.
    """
    services, counted, polls = (_of(table, director.name) for table in (services, counted, polls))
    of_director = partial(_is_of, director=director.name)
    entries, changes = entries.only(of_director), changes.only(of_director)
    entry_polls = entry_polls_of(polls, director.name)
    events = events[events["host"] == director.name]
    readings = _readings(polls)
    return DirectorRecord(
        services=services,
        counted=counted,
        entries=entries,
        changes=changes,
        polls=polls,
        events=events,
        entry_polls=entry_polls,
        tracked=entries.map(partial(tracked_by, entry_polls={director.name: entry_polls})),
        absences=absences(services, events),
        clock=_clock(director, readings, zero_ns),
        clock_steps=_steps(director, readings, events),
    )


def _of(table: pd.DataFrame, director: str) -> pd.DataFrame:
    """A director's rows; of the only one no copy is made."""
    is_its = _is_of(table, director)
    return table if is_its.all() else table[is_its]


def _is_of(table: pd.DataFrame, director: str) -> Bools:
    return (table["director"] == director).to_numpy(dtype=bool, na_value=False)


class _Readings(NamedTuple):
    """A director's clock, by each of its polls that has an uptime; ascending, shapes (n,)."""

    asked_ns: Ints
    answered_ns: Ints
    uptime_s: Floats
    goes_back: bool  # polls were recorded after others that this host's clock puts later


def _readings(polls: pd.DataFrame) -> _Readings:
    polls = polls[["asked", "took_ms", "director_uptime_s"]].dropna()
    recorded_ns = ns(polls["asked"])
    late_ns = np.maximum.accumulate(recorded_ns) - recorded_ns
    polls = polls.sort_values("asked")
    asked_ns = ns(polls["asked"])
    took_ns = np.rint(polls["took_ms"].to_numpy(dtype=np.float64) * 1e6).astype(np.int64)
    return _Readings(
        asked_ns=asked_ns,
        answered_ns=asked_ns + took_ns,
        uptime_s=polls["director_uptime_s"].to_numpy(dtype=np.float64),
        goes_back=bool((late_ns > CLOCK_STEP_S * NS_PER_S).any()),
    )


def _clock(director: Director, readings: _Readings, zero_ns: int) -> DirectorClock:
    """The director's clock; without any reading, the run's start stands for its boot."""
    if not len(readings.asked_ns):
        zero = np.array([zero_ns], dtype=np.int64)
        return DirectorClock(at_ns=zero, boot_ns=zero, uncertainty_s=0.0)
    clock = clock_from_polls(*readings[:3], director.uptime_step_s)
    return replace(clock, uncertainty_s=clock.uncertainty_s + director.clock_uncertainty_s)


def _steps(director: Director, readings: _Readings, events: pd.DataFrame) -> tuple[ClockStep, ...]:
    """Where the boot instant moved, but for reboots: those noted, and any since the poll before."""
    asked_ns, _, uptime_s, goes_back = readings
    reboots_ns = np.sort(ns(events.loc[events["kind"] == "rebooted", "at"]))
    noted = np.diff(np.searchsorted(reboots_ns, asked_ns)) > 0
    booted_ns = asked_ns - np.rint(uptime_s * NS_PER_S).astype(np.int64)
    began_anew = (np.diff(uptime_s) < 0) & (booted_ns[1:] > asked_ns[:-1])
    rebooted = noted | (began_anew & (not goes_back))
    return tuple(
        ClockStep(at_ns=int(asked_ns[poll]), moved_s=float(moved))
        for poll, moved in zip(*clock_steps(*readings[:3], director.uptime_step_s), strict=True)
        if not rebooted[poll - 1]
    )
