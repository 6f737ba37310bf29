"""The lifetimes of a director's entries, however many: in memory, or part by part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from analyzer.estimate.decay import (
    group_keys,
    group_row,
    narrowest,
    number_of,
    sightings_of,
    with_bounds,
)
from analyzer.estimate.groups import Group, as_seen, groups_of
from analyzer.estimate.timeout import measured_timeout
from analyzer.observed.ends import poll_gap_s
from analyzer.parts.summary import summary_of
from analyzer.recording.instants import midway_ns, seconds_since

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from analyzer.arrays import Bools, Floats
    from analyzer.ipvs.timers import TimerPhase
    from analyzer.observed.parted import Parted
    from analyzer.predicted.phase import Sightings
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director
    from analyzer.results import Estimate, Lifetime


def lifetimes_in_parts(
    tracked: Parted,
    director: Director,
    clock: DirectorClock,
    phase: TimerPhase | None,
    *,
    last_packet_uncertainty_s: float,
) -> list[Lifetime]:
    """One row for each protocol, state and timeout that entries ended in, the largest group first.

    Args:
        tracked: this director's tracked entries, from ``compared``, or ``entry_timers`` where
            nothing but entries is known; those of ``compared`` that have no last packet are left
            out.
        director: its facts.
        clock: its clock.
        phase: of its timers, read or inferred; None where not known.
        last_packet_uncertainty_s: how well ``last_ns`` is known; 0 from a capture, and where
            ``lifetime_half_s`` gives it for each entry.
    """
    slack_s = clock.uncertainty_s + last_packet_uncertainty_s
    groups = groups_of(tracked, partial(group_keys, director=director))
    rows = [_lifetime(group, director, clock, phase, slack_s) for group in groups]
    return sorted(rows, key=lambda row: -row.n)


def _lifetime(
    group: Group,
    director: Director,
    clock: DirectorClock,
    phase: TimerPhase | None,
    slack_s: float,
) -> Lifetime:
    protocol, state, waited_s = group.key
    row = group_row(director, str(state), number_of(waited_s), group.n, str(protocol))
    if "lifetime_s" in group.first:
        row = with_bounds(row, group.first)
    row = replace(row, n_expired=group.n_expired)
    dated = group.ended.only(_is_dated)
    if dated.empty:
        return row
    estimate = _by_expiries(group.ended, clock, phase, director.hz, slack_s)
    return as_seen(row, dated, narrowest(row.timeout_measured_s, estimate), slack_s)


def _is_dated(ended: pd.DataFrame) -> pd.Series:
    return ended["last_ns"].notna()


def _by_expiries(
    ended: Parted,
    clock: DirectorClock,
    phase: TimerPhase | None,
    hz: int | None,
    slack_s: float,
) -> Estimate | None:
    """The timeout by the expiries after packets that no timeout was needed to date."""
    ended = ended.only(_has_last_packet)
    lifetime_s = summary_of(map(_lasted_s, ended))
    if not lifetime_s.n:
        return None
    widest_s = max(float(poll_gap_s(part).max(initial=0.0)) for part in ended)
    slack_s += max(_window_half_s(part) for part in ended if len(part))
    uncertainty_s = widest_s / 2 + slack_s
    return measured_timeout(_Sighted(ended, clock), lifetime_s, hz, phase, slack_s, uncertainty_s)


def _last_packet_ns(ended: pd.DataFrame) -> pd.Series:
    """The last packets: seen in a capture or by the request; else by the reads of entries alone."""
    return ended["window_ns" if "window_ns" in ended else "last_ns"]


def _window_half_s(ended: pd.DataFrame) -> float:
    """How well the last packets are known at worst, where it differs from entry to entry."""
    return float(ended["window_half_s"].max()) if "window_half_s" in ended else 0.0


def _has_last_packet(ended: pd.DataFrame) -> Bools:
    return _last_packet_ns(ended).notna().to_numpy(dtype=bool)


def _lasted_s(ended: pd.DataFrame) -> Floats:
    return seconds_since(midway_ns(ended["seen_ns"], ended["absent_by_ns"]), _last_packet_ns(ended))


@dataclass(frozen=True, slots=True)
class _Sighted:
    """The sightings of entries that ended, part by part."""

    ended: Parted
    clock: DirectorClock

    def __iter__(self) -> Iterator[Sightings]:
        for part in self.ended:
            yield sightings_of(part.assign(last_ns=_last_packet_ns(part)), self.clock)
