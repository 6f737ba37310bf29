"""A director's clock against the client's, from nothing but polls.

Each poll asks the director for its uptime, and knows when it asked and when it had the answer. So
the director's boot lies, on the client's clock, between ``asked - uptime`` (less the 10 ms that
``/proc/uptime`` rounds away) and ``answered - uptime``. Polls agree on one boot instant: the
intersection of their intervals is far narrower than any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

UPTIME_STEP_S = 0.01
WINDOW_S = 60.0
"""Clocks drift apart (NTP slews by up to 0.5 ms each second), so each window has its own answer."""

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorClock:
    """Where the director's uptime 0 lies on the client's clock, at some instants.

    Attributes:
        at_ns: centres of the windows, ascending; shape (w,), w >= 1.
        boot_ns: uptime 0 as seen in each window; shape (w,).
        uncertainty_s: half the width of the widest intersection.
    """

    at_ns: Ints
    boot_ns: Ints
    uncertainty_s: float

    def uptime_s(self, at_ns: Ints) -> Floats:
        """The director's uptime at instants of the client's clock; same shape."""
        reference = int(self.boot_ns[0])
        moved = np.interp(at_ns, self.at_ns, self.boot_ns - reference)
        uptime: Floats = ((at_ns - reference) - moved) / _NS
        return uptime

    def client_ns(self, uptime_s: Floats) -> Ints:
        """The inverse of ``uptime_s``; same shape."""
        reference = int(self.boot_ns[0])
        since_ns = np.rint(uptime_s * _NS).astype(np.int64)
        moved = np.interp(since_ns + reference, self.at_ns, self.boot_ns - reference)
        return np.asarray(since_ns + reference + np.rint(moved).astype(np.int64))


def boot_bounds_ns(
    asked_ns: Ints, answered_ns: Ints, uptime_s: Floats, step_s: float = UPTIME_STEP_S
) -> tuple[Ints, Ints]:
    """The earliest and latest boot instant that each poll allows; shapes (n,) and (n,)."""
    uptime_ns = np.rint(uptime_s * _NS).astype(np.int64)
    return asked_ns - uptime_ns - int(step_s * _NS), answered_ns - uptime_ns


def clock_from_polls(
    asked_ns: Ints, answered_ns: Ints, uptime_s: Floats, step_s: float = UPTIME_STEP_S
) -> DirectorClock:
    """The director's clock from its polls, at least one, in order of time.

    Args:
        asked_ns: when each poll was asked, client's clock; shape (n,).
        answered_ns: when it was answered; shape (n,).
        uptime_s: what the director's ``/proc/uptime`` said; shape (n,).
        step_s: the resolution of that.
    """
    earliest, latest = boot_bounds_ns(asked_ns, answered_ns, uptime_s, step_s)
    window = (asked_ns - asked_ns[0]) // int(WINDOW_S * _NS)
    starts = np.flatnonzero(np.r_[True, np.diff(window) > 0])
    low, high = np.maximum.reduceat(earliest, starts), np.minimum.reduceat(latest, starts)
    first_ns, last_ns = (edge.reduceat(asked_ns, starts) for edge in (np.minimum, np.maximum))
    return DirectorClock(
        at_ns=first_ns + (last_ns - first_ns) // 2,
        boot_ns=low + (high - low) // 2,
        uncertainty_s=float(np.abs(high - low).max()) / 2 / _NS,
    )
