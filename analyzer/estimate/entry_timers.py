"""When the last packet of an entry came, by the entry alone: its state, its expire column, polls.

Every packet restarts its entry's timer with the timeout of the state that it led to, and the expire
column is what is left of it, in whole seconds, rounded down. So each entry that is read shows when
its timer ends (to a second and what the read took), and the read before, which had not seen this
timer yet, since when it can have run at the longest. Together:

===================  ============================================================================
the timeout          at least what was left; at most that, a second, and the time between the reads
the last packet      between the two reads; and, its timeout known, that long before the timer ends
ended by its timer   it was missing only after the timer's end (and by a granule, for it is late)
ended before         a reset or a close that no read saw, a flush, a server that was removed
===================  ============================================================================

An entry that was there at the first read has no read before: it bounds the timeout from below only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.estimate.state_timeouts import default_s, state_of
from analyzer.estimate.timeout import ByPoll, agreed
from analyzer.ipvs.states import TIMEOUT_NAMES
from analyzer.ipvs.timers import granule_jiffies
from analyzer.observed.ends import kinds_of
from analyzer.predicted.entries import TIMER
from analyzer.predicted.phase import LEAST_EXPLAINED
from analyzer.recording.spans import SLACK_S, Bounds, instants, seconds
from analyzer.results import NotMeasured
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from analyzer.ipvs.states import SettableName
    from analyzer.recording.director import Director

    Floats = npt.NDArray[np.float64]
    Steady = Mapping[SettableName, tuple[float, float]]
    Bools = npt.NDArray[np.bool_]

BEFORE_ITS_TIME = "before-its-timer"
"""The cause of an entry that ended while its timer still ran."""

_PRINTED_S = 1.0


@dataclass(frozen=True, slots=True)
class _Read:
    """Bounds by the reads of each entry; instants in seconds since the first read of all.

    Attributes:
        ends: when its timer ends.
        window: when its last packet came, by the reads alone; from -inf where none was before.
        least_s: what its timer was set to at the least.
        most_s: at the most; inf where it was there at the first read.
        first_poll_s: which read saw its timer first.
        is_early: it ended while its timer still ran.
    """

    ends: Bounds
    window: Bounds
    least_s: Floats
    most_s: Floats
    first_poll_s: Floats
    is_early: Bools


@dataclass(frozen=True, slots=True)
class _Group:
    """What the entries of a protocol and state allow.

    Attributes:
        allowed_s: the timeouts that nearly all of them allow; NaN where they disagree.
        set_to_s: those that their last packets are reckoned by.
        assumed_s: the kernel's default, where that is assumed; else NaN.
    """

    allowed_s: tuple[float, float]
    set_to_s: tuple[float, float]
    assumed_s: float


@dataclass(frozen=True, slots=True)
class EntryTimers:
    """Timeouts by protocol and state, as all of a director's entries allow them."""

    zero_ns: int
    groups: Mapping[tuple[str, str], _Group]

    def added(self, tracked: pd.DataFrame) -> pd.DataFrame:
        """Some of the entries, each with its last packet as its own timer shows it.

        Args:
            tracked: as ``observed.entries.tracked_by`` gives them.

        Returns:
            ``tracked`` with ``last_ns`` (Int64, the middle of what is possible; <NA> where nothing
            bounds it), ``window_ns`` ± ``window_half_s`` (the same by the reads alone, for which no
            timeout was needed), ``lifetime_s`` ± ``lifetime_half_s`` (from the last packet until it
            expired; NaN where not known), ``cause`` (``TIMER`` or ``BEFORE_ITS_TIME``; <NA> while
            it is there), ``timeout_low_s`` and ``timeout_high_s`` (what all entries of that
            protocol and state agree on; inf where nothing bounds it from above, NaN where they do
            not agree) and ``assumed_s`` (the kernel's default, where the last packets are reckoned
            by it).
        """
        return _with_timers(tracked, self)


def timers_of(parts: Iterable[pd.DataFrame], known: Steady) -> EntryTimers:
    """The timeouts that the entries of a director allow.

    Args:
        parts: its tracked entries, read twice.
        known: those of the settable timeouts that are known and did not change.
    """
    first_ns = [int(part["appeared_ns"].min()) for part in parts if len(part)]
    zero_ns = min(first_ns, default=0)
    reads: dict[tuple[str, str], ByPoll] = {}
    for part in parts:
        read = _read(part, zero_ns)
        for kind, of_group in _groups(part):
            usable = of_group & (read.least_s <= read.most_s)
            bounds = read.first_poll_s[usable], read.least_s[usable], read.most_s[usable]
            reads.setdefault(kind, ByPoll(0.0, np.inf)).add(*bounds)
    return EntryTimers(zero_ns, {kind: _group(kind, seen, known) for kind, seen in reads.items()})


def _groups(tracked: pd.DataFrame) -> Iterator[tuple[tuple[str, str], Bools]]:
    """The protocols and states of entries, and which entries are of each."""
    kind, kinds = kinds_of(tracked)
    for number, each in enumerate(kinds):
        yield each, np.asarray(kind == number)


def _group(kind: tuple[str, str], seen: ByPoll, known: Steady) -> _Group:
    protocol, state = kind
    bounds = _allowed(seen)
    set_to, assumed_s = _set_to(
        _known_s(known, protocol, state), default_s(state, protocol), bounds
    )
    return _Group(bounds, set_to, assumed_s)


def _with_timers(tracked: pd.DataFrame, timers: EntryTimers) -> pd.DataFrame:
    zero_ns = timers.zero_ns
    read = _read(tracked, zero_ns)
    allowed, set_to, assumed = _by_group(tracked, timers)
    last = read.window.within(Bounds(read.ends.low - set_to.high, read.ends.high - set_to.low))
    made = tracked.assign(
        timeout_low_s=allowed.low,
        timeout_high_s=allowed.high,
        assumed_s=assumed,
        cause=_cause(tracked, read),
    )
    made["last_ns"] = instants(last, zero_ns)
    made["window_ns"] = instants(read.window, zero_ns)
    made["window_half_s"] = read.window.half()
    lifetime = _lifetime_span(tracked, read, set_to, zero_ns)
    made["lifetime_s"], made["lifetime_half_s"] = lifetime.middle(), lifetime.half()
    return made


def _lifetime_span(tracked: pd.DataFrame, read: _Read, set_to: Bounds, zero_ns: int) -> Bounds:
    """Lifetime from the last packet: the timeout, and how late the entry was seen to expire."""
    seen, gone_by = (seconds(tracked[f"{name}_ns"], zero_ns) for name in ("seen", "absent_by"))
    by_reads = Bounds(seen - read.window.high, gone_by - read.window.low)
    late = Bounds(np.maximum(seen - read.ends.high, 0), np.maximum(gone_by - read.ends.low, 0))
    return by_reads.within(Bounds(set_to.low + late.low, set_to.high + late.high))


def _read(tracked: pd.DataFrame, zero_ns: int) -> _Read:
    at = {
        name: seconds(tracked[f"{name}_ns"], zero_ns)
        for name in ("before", "changed", "changed_by", "seen", "seen_by", "absent_by")
    }
    left_first_s = tracked["expires_s"].to_numpy(dtype=np.float64)
    left_last_s = np.asarray(tracked["left_s"].astype("Float64").fillna(np.nan), dtype=np.float64)
    late_s = _coarsest_s(np.fmax(left_first_s, _or(left_last_s, 0.0)) + _PRINTED_S)
    first = _ends(at["changed"], at["changed_by"], left_first_s, late_s)
    last = _ends(at["seen"], at["seen_by"], left_last_s, late_s)
    has_last = ~np.isnan(left_last_s) & ~np.isnan(at["seen"])
    renewed = has_last & ((last.low > first.high + SLACK_S) | (last.high < first.low - SLACK_S))
    both = first.within(Bounds(_or(last.low, -np.inf), _or(last.high, np.inf)))
    ends = Bounds(np.where(renewed, last.low, both.low), np.where(renewed, last.high, both.high))
    since = np.where(renewed, at["changed"], _or(at["before"], -np.inf))
    by = np.where(renewed, at["seen_by"], at["changed_by"])
    left_s = np.where(renewed, left_last_s, np.fmax(left_first_s, _or(left_last_s, 0.0)))
    return _Read(
        ends=ends,
        window=Bounds(since, by),
        least_s=np.maximum(left_s, np.where(np.isfinite(ends.low), ends.low - by, 0.0)),
        most_s=ends.high - since,
        first_poll_s=np.where(renewed, at["seen"], at["changed"]),
        is_early=at["absent_by"] < ends.low - SLACK_S,
    )


def _ends(read: Floats, read_by: Floats, left_s: Floats, late_s: Floats) -> Bounds:
    """When a timer ends that showed so much at a read; what is late shows 0 for up to a granule."""
    low = np.where(left_s > 0, read + left_s, read - late_s)
    return Bounds(low, read_by + left_s + _PRINTED_S)


def _coarsest_s(timeout_s: Floats) -> Floats:
    jiffies = [np.rint(timeout_s * hz).astype(np.int64) for hz in KNOWN_HZ]
    granules = [granule_jiffies(j) / hz for j, hz in zip(jiffies, KNOWN_HZ, strict=True)]
    return np.asarray(np.max(granules, axis=0), dtype=np.float64)


def _or(values: Floats, other: float) -> Floats:
    return np.where(np.isnan(values), other, values)


def _cause(tracked: pd.DataFrame, read: _Read) -> pd.Series:
    has_ended = tracked["absent_ns"].notna().to_numpy(dtype=bool)
    cause = np.where(has_ended & read.is_early, BEFORE_ITS_TIME, TIMER)
    return pd.Series(cause, index=tracked.index, dtype="string").where(has_ended)


def _by_group(tracked: pd.DataFrame, timers: EntryTimers) -> tuple[Bounds, Bounds, Floats]:
    """The timeouts that each protocol and state allows; the one reckoned by; if it was assumed."""
    n = len(tracked)
    allowed, set_to = (Bounds(np.full(n, np.nan), np.full(n, np.nan)) for _ in range(2))
    assumed = np.full(n, np.nan)
    for kind, of_group in _groups(tracked):
        group = timers.groups[kind]
        allowed.low[of_group], allowed.high[of_group] = group.allowed_s
        set_to.low[of_group], set_to.high[of_group] = group.set_to_s
        assumed[of_group] = group.assumed_s
    return allowed, set_to, assumed


def _allowed(seen: ByPoll) -> tuple[float, float]:
    """The timeouts that nearly all entries of a group allow; NaN where they disagree."""
    low, high = seen.bounds()
    agrees = low <= high
    if not agrees.any():
        return np.nan, np.nan
    fit = agreed(low[agrees], high[agrees], len(low))
    return (fit.low_s, fit.high_s) if fit.share >= LEAST_EXPLAINED else (np.nan, np.nan)


def _known_s(known: Steady, protocol: str, state: str) -> tuple[float, float] | None:
    """The timeout of a state as it is known, or as the kernel fixes it."""
    own = state_of(state, protocol)
    if own is None:
        return None
    name = TIMEOUT_NAMES[own]
    if name != "fixed":
        return known.get(name)
    fixed_s = default_s(state, protocol)
    return None if fixed_s is None else (fixed_s, fixed_s)


def _set_to(
    known_s: tuple[float, float] | None, usual_s: float | None, allowed_s: tuple[float, float]
) -> tuple[tuple[float, float], float]:
    """The timeout that the last packets of a group are reckoned by, and the default if it is that.

    The one that is known, if the entries allow it; else what they allow themselves; where that has
    no upper bound, the kernel's default, which is an assumption.
    """
    least_s, most_s = allowed_s
    if known_s and least_s - SLACK_S <= known_s[1] and known_s[0] <= most_s + SLACK_S:
        return known_s, np.nan
    if np.isfinite(most_s):
        return (least_s, most_s), np.nan
    if known_s is None and usual_s is not None and usual_s >= least_s - SLACK_S:
        return (usual_s, usual_s), usual_s
    return (0.0, np.inf), np.nan


def unseen_ends(tracked: Iterable[pd.DataFrame], director: Director) -> list[NotMeasured]:
    """Entries that ended while their timers ran: the cause lies between two reads."""
    ended = [
        part.loc[part["cause"] == BEFORE_ITS_TIME, "state"] for part in tracked if "cause" in part
    ]
    early = pd.concat(ended) if ended else pd.Series(dtype="string")
    if early.empty:
        return []
    counts = early.value_counts()
    states = ", ".join(f"{n} in {state}" for state, n in counts.items())
    return [
        NotMeasured(
            what=f"lifetime of {len(early)} entries on {director.name} ({states})",
            why="their timers still ran at the read before the one that missed them: they were "
            "closed or reset and went in a state that no read saw, or somebody removed them",
        )
    ]
