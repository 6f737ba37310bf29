"""The lifetimes of entries of which there are too many for memory: ``decay.lifetimes``, in parts.

Of each group the entries that ended are kept by the store, and what is asked of all of them is
brought together part by part. The result is the same to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from analyzer.estimate.decay import (
    group_keys,
    group_row,
    lifetimes,
    narrowest,
    number_of,
    sightings_of,
    spread_of,
    with_bounds,
)
from analyzer.estimate.timeout import measured_timeout
from analyzer.observed.ends import lifetimes_s, poll_gap_s, widest_gap_s, with_end
from analyzer.observed.parted import Kept, Parted
from analyzer.recording.instants import midway_ns, seconds_since

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from analyzer.ipvs.timers import TimerPhase
    from analyzer.predicted.phase import Sightings
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director
    from analyzer.results import Estimate, Lifetime

    Floats = npt.NDArray[np.float64]
    Key = tuple[str, str, float | None]

_ENDED = (
    *("seen_ns", "absent_ns", "absent_by_ns", "last_ns", "lifetime_s", "lifetime_half_s"),
    *("window_ns", "window_half_s", "timeout_s"),
)


def lifetimes_in_parts(
    tracked: Parted,
    director: Director,
    clock: DirectorClock,
    phase: TimerPhase | None,
    *,
    last_packet_uncertainty_s: float,
) -> list[Lifetime]:
    """As ``decay.lifetimes``; entries in more than one part are those of ``entry_timers``."""
    if tracked.is_one:
        return lifetimes(
            tracked.whole(),
            director,
            clock,
            phase,
            last_packet_uncertainty_s=last_packet_uncertainty_s,
        )
    groups: dict[Key, _Group] = {}
    for part in tracked:
        known, keys = group_keys(part, director)
        for key, rows in known.groupby(keys, sort=False, dropna=False):
            group = _key(*key)
            if group not in groups:
                groups[group] = _Group(rows.iloc[:1], Kept(tracked.store))
            groups[group].add(rows)
    slack_s = clock.uncertainty_s + last_packet_uncertainty_s
    made = [
        group.lifetime(
            group_row(director, state, waited_s, group.n, protocol),
            clock,
            phase,
            director.hz,
            slack_s,
        )
        for (protocol, state, waited_s), group in groups.items()
    ]
    return sorted(made, key=lambda row: -row.n)


def _key(protocol: object, state: object, waited_s: object) -> Key:
    return str(protocol), str(state), number_of(waited_s)


@dataclass(slots=True)
class _Group:
    """The entries of one protocol, state and timeout.

    Attributes:
        first: the first of them: what a group agrees on is the same in all.
        ended: those that ended between two polls.
        n: how many there are.
    """

    first: pd.DataFrame
    ended: Kept
    n: int = 0

    def add(self, rows: pd.DataFrame) -> None:
        """Take some more."""
        self.n += len(rows)
        self.ended.append(with_end(rows)[[name for name in _ENDED if name in rows]])

    def lifetime(
        self,
        row: Lifetime,
        clock: DirectorClock,
        phase: TimerPhase | None,
        hz: int | None,
        slack_s: float,
    ) -> Lifetime:
        """Its row, as ``decay`` makes it of a group in memory."""
        row = with_bounds(row, self.first)
        ended = self.ended.finish()
        gap_s = ended.column(poll_gap_s)
        if not len(gap_s):
            return row
        usual = ended.only(partial(_is_usual, widest_s=widest_gap_s(gap_s)))
        row = replace(row, n_expired=sum(map(len, usual)))
        dated = usual.only(lambda rows: rows["last_ns"].notna())
        lifetime_s = dated.column(lambda rows: lifetimes_s(rows)[0])
        if not len(lifetime_s):
            return row
        half_s = max(float(lifetimes_s(part)[1].max(initial=0.0)) for part in dated)
        estimate = narrowest(row.timeout_measured_s, _by_expiries(usual, clock, phase, hz, slack_s))
        return replace(
            row,
            lifetime_s=spread_of(lifetime_s, half_s + slack_s),
            timeout_measured_s=estimate,
        )


def _is_usual(rows: pd.DataFrame, widest_s: float) -> npt.NDArray[np.bool_]:
    return poll_gap_s(rows) <= widest_s


def _by_expiries(
    usual: Parted,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Estimate | None:
    """The timeout by the expiries after packets that no timeout was needed to date."""
    ended = usual.only(lambda rows: rows["window_ns"].notna())
    lifetime_s = ended.column(_since_window_s)
    if not len(lifetime_s):
        return None
    slack_s += max(float(part["window_half_s"].max()) for part in ended if len(part))
    widest_s = max(float(poll_gap_s(part).max(initial=0.0)) for part in ended)
    uncertainty_s = widest_s / 2 + slack_s
    return measured_timeout(_Sighted(ended, clock), lifetime_s, hz, phase, slack_s, uncertainty_s)


def _since_window_s(ended: pd.DataFrame) -> Floats:
    return seconds_since(midway_ns(ended["seen_ns"], ended["absent_by_ns"]), ended["window_ns"])


@dataclass(frozen=True, slots=True)
class _Sighted:
    """The sightings of entries that ended, part by part."""

    ended: Parted
    clock: DirectorClock

    def __iter__(self) -> Iterator[Sightings]:
        for part in self.ended:
            yield sightings_of(part.assign(last_ns=part["window_ns"]), self.clock)
