"""A director's clock by its polls: when each snapshot was taken, and whether it rebooted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.recording.clock import CLOCK_STEP_S, UPTIME_STEP_S, clock_from_polls
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.recording.clock import DirectorClock

_READINGS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What one reading of the director's clock gave.

    Attributes:
        at_ns: when the director took the snapshot; Unix time, our clock.
        offset_ms: this reading's own boot instant, less the run's first.
        uncertainty_ms: of ``at_ns``, by all readings of this boot so far.
        stepped_s: how far the boot instant has moved, where that is no reading error; else None.
    """

    at_ns: int
    offset_ms: float
    uncertainty_ms: float
    stepped_s: float | None


class Timekeeper:
    """Folds readings of one director's uptime into its clock on ours."""

    def __init__(self, boot_ns: int | None = None) -> None:
        self._boot_ns = boot_ns
        self._readings: list[tuple[int, int, float]] = []

    def restart(self) -> None:
        """The director has rebooted: what was read before tells nothing of its clock now."""
        self._readings.clear()

    def note(self, asked_ns: int, answered_ns: int, uptime_s: float) -> Noted:
        """Take one reading; a step begins the clock anew."""
        stepped_s = self._step_s(asked_ns, answered_ns, uptime_s)
        if stepped_s is not None:
            self._readings.clear()
        self._readings.append((asked_ns, answered_ns, uptime_s))
        del self._readings[:-_READINGS]
        boot_ns = (asked_ns + answered_ns) // 2 - round(uptime_s * NS_PER_S)
        if self._boot_ns is None:
            self._boot_ns = boot_ns
        clock = self._clock()
        at_ns = int(clock.client_ns(np.array([uptime_s]))[0])
        return Noted(
            at_ns=min(max(at_ns, asked_ns), answered_ns),
            offset_ms=(boot_ns - self._boot_ns) / 1e6,
            uncertainty_ms=clock.uncertainty_s * 1e3,
            stepped_s=stepped_s,
        )

    def clock(self) -> DirectorClock | None:
        """The clock by all readings of this boot; None before the first."""
        return self._clock() if self._readings else None

    def manifest(self) -> dict[str, Any]:
        """The director's clock against ours, for ``run.json``."""
        uncertainty_ms = self._clock().uncertainty_s * 1e3 if self._readings else None
        return {
            "boot_at_ns": self._boot_ns,
            "clock_uncertainty_ms": None if uncertainty_ms is None else round(uncertainty_ms, 3),
        }

    def _step_s(self, asked_ns: int, answered_ns: int, uptime_s: float) -> float | None:
        if not self._readings:
            return None
        last_asked, last_answered, last_uptime_s = self._readings[-1]
        between_s = ((asked_ns + answered_ns) - (last_asked + last_answered)) / 2 / NS_PER_S
        moved_s = between_s - (uptime_s - last_uptime_s)
        doubt_s = (
            answered_ns - asked_ns + last_answered - last_asked
        ) / 2 / NS_PER_S + UPTIME_STEP_S
        return moved_s if abs(moved_s) > CLOCK_STEP_S + doubt_s else None

    def _clock(self) -> DirectorClock:
        asked, answered, uptimes = zip(*self._readings, strict=True)
        return clock_from_polls(np.array(asked), np.array(answered), np.array(uptimes))
