"""When an entry's timer fires: late, by the granule of the kernel's timer wheel.

The wheel (kernel/time/timer.c, since Linux 4.8) sorts timers into levels by how far away they are.
Level n has a granule of 8^n jiffies, and a timer fires at the first multiple of its level's
granule strictly after its nominal instant: never early, late by up to one granule. So all entries
whose instants fall into one granule expire at once, and InActConn falls in stairs.

Jiffies begin at -300 x HZ and lag the uptime by a constant of each boot, the *phase*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVELS = 9
_BITS_PER_LEVEL = 3
_SLOTS_PER_LEVEL = 64
JIFFIES_AT_BOOT_S = -300
_COUNTER = 2**32
"""What a jiffies counter of 32 bits counts modulo."""

_ONE_WRONG_IN = 12

_LEVEL_STARTS = [
    (_SLOTS_PER_LEVEL - 1) << (_BITS_PER_LEVEL * (level - 1)) for level in range(1, LEVELS)
]


def granule_jiffies(timeout_jiffies: npt.ArrayLike) -> Ints:
    """The step of the wheel for timeouts in jiffies; same shape."""
    level = np.searchsorted(_LEVEL_STARTS, np.asarray(timeout_jiffies), side="right")
    return np.left_shift(np.int64(1), _BITS_PER_LEVEL * level.astype(np.int64))


def granule_s(timeout_s: float, hz: int) -> float:
    """The step of the wheel for one timeout, seconds: 0.64 for 20 s at HZ 100."""
    return float(granule_jiffies(round(timeout_s * hz))) / hz


def timeouts_of_granule_s(granule: float, hz: int) -> tuple[float, float]:
    """The shortest timeout that has a granule, and the longest bound of those that do, seconds."""
    level = round(np.log2(granule * hz)) // _BITS_PER_LEVEL
    starts = [0, *_LEVEL_STARTS, np.inf]
    return float(starts[level]) / hz, float(starts[level + 1]) / hz


def expiry_uptime_s(
    last_packet_uptime_s: npt.ArrayLike,
    timeout_s: npt.ArrayLike,
    *,
    hz: int,
    phase_s: float,
) -> Floats:
    """When entries go, on the director's uptime clock, seconds.

    Args:
        last_packet_uptime_s: when the timer was last started; any shape.
        timeout_s: of the state that this packet led to; a shape that broadcasts.
        hz: the director's jiffies per second.
        phase_s: by how much its jiffies lag its uptime.
    """
    timeout_jiffies = np.rint(np.asarray(timeout_s) * hz).astype(np.int64)
    since_boot = np.asarray(last_packet_uptime_s, dtype=np.float64) - phase_s
    started = np.floor((since_boot + JIFFIES_AT_BOOT_S) * hz).astype(np.int64)
    granule = granule_jiffies(timeout_jiffies)
    fires = ((started + timeout_jiffies) // granule + 1) * granule
    fired_uptime_s: Floats = fires / hz - JIFFIES_AT_BOOT_S + phase_s
    return fired_uptime_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReading:
    """The jiffies counter, read between two readings of a clock that starts at boot, seconds."""

    before_s: float
    jiffies: int
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerPhase:
    """HZ, and by how much jiffies lag the uptime, seconds."""

    hz: int
    phase_s: float
    uncertainty_s: float


def phase_from_readings(readings: Sequence[TickReading]) -> TimerPhase | None:
    """HZ and phase from readings that span some ticks; None if they show neither.

    The counter starts at (unsigned int) -300 x HZ (``INITIAL_JIFFIES``), so each reading bounds
    the phase to one tick; all of them together bound it more closely. One in twelve may be wrong:
    the tick of a virtual machine that waits for its processor comes late, and a reading may take
    longer than it is known to.
    """
    hz = _hz_from_readings(readings)
    if hz is None:
        return None
    pairs = [(reading, _ticks_since_boot(reading, hz)) for reading in readings]
    wrong = len(pairs) // _ONE_WRONG_IN
    low = sorted(reading.before_s - (count + 1) / hz for reading, count in pairs)[-1 - wrong]
    high = sorted(reading.after_s - count / hz for reading, count in pairs)[wrong]
    if high < low - 1 / hz:
        return None  # the readings contradict each other: not the counter that we took it for
    return TimerPhase(hz=hz, phase_s=(low + high) / 2, uncertainty_s=abs(high - low) / 2)


def _ticks_since_boot(reading: TickReading, hz: int) -> int:
    """The counter less its start, with the turns that a counter of 32 bits has forgotten."""
    ticks = reading.jiffies - JIFFIES_AT_BOOT_S * hz
    turns = round((reading.before_s * hz - ticks) / _COUNTER)
    return ticks + turns * _COUNTER


def _hz_from_readings(readings: Sequence[TickReading]) -> int | None:
    if len(readings) < 2:
        return None
    first, last = readings[0], readings[-1]
    span_s = (last.before_s + last.after_s - first.before_s - first.after_s) / 2
    ticks = (last.jiffies - first.jiffies) % _COUNTER
    if span_s <= 0 or ticks <= 0:
        return None
    nearest = min(KNOWN_HZ, key=lambda hz: abs(ticks / span_s - hz))
    return nearest if abs(ticks / span_s - nearest) < nearest * 0.1 else None
