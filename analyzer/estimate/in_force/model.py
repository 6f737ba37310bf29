"""The timeouts of a director over a run, as far as they are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.in_force.readings import (
    NAMES,
    READ_BY_THE_DIRECTOR,
    by_entries,
    by_entries_alone,
    reported_readings,
    value_s,
)
from analyzer.estimate.in_force.steps import steps_of
from analyzer.ipvs.states import Timeouts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.estimate.in_force.readings import TimeoutReading
    from analyzer.estimate.in_force.steps import Step
    from analyzer.evidence.evidence import Evidence
    from analyzer.ipvs.states import SettableName
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutChange:
    """One timeout, set anew.

    Attributes:
        name: which.
        before_s, value_s: from what to what, seconds.
        from_ns, until_ns: it happened between, Unix time.
        at_ns: where the replay takes it to have happened.
        noticed_ns: when the director itself first reported it; None if it never did.
        n: how many entries show it.
    """

    name: SettableName
    before_s: float
    value_s: float
    from_ns: int
    until_ns: int
    at_ns: int
    noticed_ns: int | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """Timeouts as they were in force.

    Attributes:
        start: those at the start; of those in ``assumed`` the kernel's defaults.
        assumed: those that were not read and that no entry shows.
        shown: those at the start that only entries show, and between which whole seconds each is.
        denied: those that were given by somebody who did not read them on the director, and that
            entries contradict: with what was given.
        changes: in order of time.
    """

    start: Timeouts
    assumed: frozenset[SettableName]
    shown: dict[SettableName, tuple[int, int]]
    denied: dict[SettableName, float]
    changes: tuple[TimeoutChange, ...]

    @property
    def open_s(self) -> float:
        """How far a timeout may be from the value that is used."""
        return float(max((high - low for low, high in self.shown.values()), default=0))

    @property
    def steady(self) -> dict[SettableName, tuple[float, float]]:
        """Bounds of the timeouts that are known and did not change, in seconds."""
        changed = {change.name for change in self.changes}
        return {
            name: self.shown.get(name, (self.start_s(name), self.start_s(name)))
            for name in NAMES
            if name not in self.assumed and name not in changed
        }

    def start_s(self, name: SettableName) -> float:
        """A timeout at the start."""
        return float(getattr(self.start, f"{name}_s"))

    def is_alike(self, other: InForce) -> bool:
        """Whether another one is the same, however many entries show it."""
        return self._uncounted() == other._uncounted()

    def _uncounted(self) -> InForce:
        return replace(self, changes=tuple(replace(change, n=0) for change in self.changes))

    def with_counts(self, counts: Mapping[SettableName, Ints]) -> InForce:
        """The same with how many entries show each value of a timeout, in order of time."""
        left = {name: iter(shown[1:].tolist()) for name, shown in counts.items()}
        changes = tuple(replace(change, n=next(left[change.name])) for change in self.changes)
        return replace(self, changes=changes)

    def rules(self, rules: DirectorRules, clock: DirectorClock) -> DirectorRules:
        """The rules with these timeouts."""
        at_ns = np.array([change.at_ns for change in self.changes], dtype=np.int64)
        timeouts, changes = self.start, []
        for uptime_s, change in zip(clock.uptime_s(at_ns), self.changes, strict=True):
            timeouts = _with(timeouts, change.name, change.value_s)
            changes.append((float(uptime_s), timeouts))
        return replace(rules, timeouts=self.start, changes=tuple(changes))

    def known(self, director: Director) -> Director:
        """The director's facts with what is known of its timeouts now."""
        nothing = len(self.assumed) == len(NAMES)
        return replace(
            director, timeouts=None if nothing else self.start, assumed_timeouts=self.assumed
        )


def timeouts_in_force(
    director: Director,
    evidence: Evidence,
    clock: DirectorClock,
    prediction: Prediction | None = None,
    rows: pd.DataFrame | None = None,
) -> InForce:
    """The timeouts in force over time, by all that a recording has of them.

    Args:
        director: its facts as recorded.
        evidence: the recording.
        clock: the director's.
        prediction: as for ``readings.by_entries``.
        rows: ``readings.rows_read`` of it, where they are known already.
    """
    reported = reported_readings(director, evidence, clock.uncertainty_s)
    if rows is None:
        record = evidence.by_director[director.name]
        shown = by_entries_alone(director, record, clock.uncertainty_s)
    else:
        shown = by_entries(director, rows, prediction, clock.uncertainty_s)
    is_read = director.timeouts_source in READ_BY_THE_DIRECTOR
    by_name = {
        name: _timeout_in_force(
            name, [*reported[name], *shown[name]], value_s(director.timeouts, name), is_read=is_read
        )
        for name in NAMES
    }
    start = {f"{name}_s": float(timeout.start_s) for name, timeout in by_name.items()}
    changes = [change for timeout in by_name.values() for change in timeout.changes]
    return InForce(
        start=Timeouts(**start),
        assumed=frozenset(name for name, timeout in by_name.items() if timeout.is_assumed),
        shown={name: timeout.shown for name, timeout in by_name.items() if timeout.shown},
        denied={
            name: timeout.denied_s
            for name, timeout in by_name.items()
            if timeout.denied_s is not None
        },
        changes=tuple(sorted(changes, key=lambda change: change.at_ns)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _TimeoutInForce:
    """One timeout; its attributes as in ``InForce``."""

    start_s: float
    is_assumed: bool = False
    shown: tuple[int, int] | None = None
    denied_s: float | None = None
    changes: tuple[TimeoutChange, ...] = ()


def _timeout_in_force(
    name: SettableName, readings: list[TimeoutReading], configured_s: int | None, *, is_read: bool
) -> _TimeoutInForce:
    default_s = getattr(Timeouts(), f"{name}_s")
    # where polls far apart leave many values open, the kernel's default is the likeliest
    steps = steps_of(readings, round(default_s) if configured_s is None else configured_s)
    if not steps:
        return _TimeoutInForce(start_s=default_s, is_assumed=True)
    first = steps[0]
    if configured_s is None and first.n == 0:  # set meanwhile; the value before it is not known
        at_ns = first.noticed_ns or 0
        change = TimeoutChange(
            name=name,
            before_s=default_s,
            value_s=first.value_s,
            from_ns=at_ns,
            until_ns=at_ns,
            at_ns=at_ns,
            noticed_ns=at_ns,
            n=0,
        )
        return _TimeoutInForce(
            start_s=default_s, is_assumed=True, changes=(change, *_changes(name, steps))
        )
    if configured_s is None or is_read:
        shown = None if is_read else (first.low_s, first.high_s)
        return _TimeoutInForce(start_s=first.value_s, shown=shown, changes=_changes(name, steps))
    if first.n == 0 and len(steps) > 1 and steps[1].noticed_ns is None:
        # from the start on entries contradict it, and no change was reported
        steps = [replace(steps[1], from_ns=None, until_ns=None), *steps[2:]]
        return _TimeoutInForce(
            start_s=steps[0].value_s,
            shown=(steps[0].low_s, steps[0].high_s),
            denied_s=float(configured_s),
            changes=_changes(name, steps),
        )
    return _TimeoutInForce(start_s=first.value_s, changes=_changes(name, steps))


def _changes(name: SettableName, steps: list[Step]) -> tuple[TimeoutChange, ...]:
    return tuple(
        TimeoutChange(
            name=name,
            before_s=before.value_s,
            value_s=step.value_s,
            from_ns=step.from_ns,
            until_ns=step.until_ns,
            at_ns=step.from_ns + (step.until_ns - step.from_ns) // 2,
            noticed_ns=step.noticed_ns,
            n=step.n,
        )
        for before, step in pairwise(steps)
        if step.from_ns is not None and step.until_ns is not None
    )


def _with(timeouts: Timeouts, name: SettableName, value_s: float) -> Timeouts:
    return replace(timeouts, **{f"{name}_s": float(value_s)})
