"""A director's clock against the client's, from nothing but polls.

Each poll asks the director for its uptime, and knows when it asked and when it had the answer. So
the director's boot lies, on the client's clock, between ``asked - uptime`` (less the 10 ms that
``/proc/uptime`` rounds away) and ``answered - uptime``. Polls agree on one boot instant: the
intersection of their intervals is far narrower than any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

UPTIME_STEP_S = 0.01
WINDOW_S = 60.0
"""Clocks drift apart (NTP slews by up to 0.5 ms each second), so each window has its own answer."""

CLOCK_STEP_S = 1.0
"""A boot instant that moves by more than this between two polls, and more than they leave open, is
another boot; or a clock was set, which makes a new beginning just as necessary."""

REACTION_S = 0.02
"""What may pass between a packet on the wire, or a timer that is due, and what the director does
about it: the way, and its softirq. A busy one keeps 1 handshake in 100 for as long."""

BOOT_S = float(8**11)
"""Each further boot of a run counts its uptime from a multiple of this: 272 years, so no two boots
meet; and a whole number of every granule at every HZ, so the timers' phase stays what it was."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorClock:
    """Where the director's uptime 0 lies on the client's clock, at some instants.

    The uptimes it gives and takes are the director's own during its first boot; of the next ones
    they are ``BOOT_S`` and more, so that they tell the boot too.

    Attributes:
        at_ns: centres of the windows, ascending; shape (w,), w >= 1.
        boot_ns: uptime 0 as seen in each window; shape (w,).
        uncertainty_s: half the width of the widest intersection.
        boot: the number of the boot that each window belongs to, from 0; shape (w,), or empty
            where there was but one.
        began_ns: when each boot but the first began; shape (boots - 1,).
    """

    at_ns: Ints
    boot_ns: Ints
    uncertainty_s: float
    boot: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    began_ns: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def margin_s(self) -> float:
        """How well instants of packets and of polls can be compared: clocks and ``REACTION_S``."""
        return self.uncertainty_s + REACTION_S

    def uptime_s(self, at_ns: Ints) -> Floats:
        """The director's uptime at instants of the client's clock; same shape."""
        at_ns = np.asarray(at_ns, dtype=np.int64)
        boot = np.searchsorted(self.began_ns, at_ns, side="right")
        uptime = np.empty(at_ns.shape, dtype=np.float64)
        for number in range(len(self.began_ns) + 1):
            chosen = boot == number
            uptime[chosen] = number * BOOT_S + self._of_boot(number)._uptime_s(at_ns[chosen])  # noqa: SLF001 - a clock as this
        return uptime

    def client_ns(self, uptime_s: Floats) -> Ints:
        """The inverse of ``uptime_s``; same shape."""
        uptime_s = np.asarray(uptime_s, dtype=np.float64)
        boot = np.clip(np.nan_to_num(uptime_s) // BOOT_S, 0, len(self.began_ns)).astype(np.int64)
        instants = np.empty(uptime_s.shape, dtype=np.int64)
        for number in range(len(self.began_ns) + 1):
            chosen = boot == number
            since_s = uptime_s[chosen] - number * BOOT_S
            instants[chosen] = self._of_boot(number)._client_ns(since_s)  # noqa: SLF001 - a clock as this
        return instants

    def boot_ended_ns(self, at_ns: Ints) -> Ints:
        """When the boot ended that was on at an instant; the far future of the last; same shape."""
        boot = np.searchsorted(self.began_ns, at_ns, side="right")
        return np.asarray(np.r_[self.began_ns, _NEVER][boot], dtype=np.int64)

    def _of_boot(self, number: int) -> DirectorClock:
        if not len(self.began_ns):
            return self
        chosen = self.boot == number
        return replace(
            self, at_ns=self.at_ns[chosen], boot_ns=self.boot_ns[chosen], boot=_ONE, began_ns=_ONE
        )

    def _uptime_s(self, at_ns: Ints) -> Floats:
        reference = int(self.boot_ns[0])
        moved = np.interp(at_ns - reference, self.at_ns - reference, self.boot_ns - reference)
        return np.asarray(((at_ns - reference) - moved) / NS_PER_S, dtype=np.float64)

    def _client_ns(self, uptime_s: Floats) -> Ints:
        reference = int(self.boot_ns[0])
        since_ns = np.rint(uptime_s * NS_PER_S).astype(np.int64)
        moved = np.interp(since_ns, self.at_ns - reference, self.boot_ns - reference)
        return np.asarray(since_ns + reference + np.rint(moved).astype(np.int64))


_ONE = np.zeros(0, dtype=np.int64)
"""What a clock of one boot has for ``boot`` and ``began_ns``."""


def boot_bounds_ns(
    asked_ns: Ints, answered_ns: Ints, uptime_s: Floats, step_s: float = UPTIME_STEP_S
) -> tuple[Ints, Ints]:
    """The earliest and latest boot instant that each poll allows; shapes (n,) and (n,)."""
    uptime_ns = np.rint(uptime_s * NS_PER_S).astype(np.int64)
    return asked_ns - uptime_ns - int(step_s * NS_PER_S), answered_ns - uptime_ns


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
    boot = _boots(earliest, latest)
    new_boot = np.r_[True, np.diff(boot) > 0]
    first_of_boot = np.flatnonzero(new_boot)
    since_ns = asked_ns - asked_ns[first_of_boot][boot]
    window = since_ns // int(WINDOW_S * NS_PER_S)
    starts = np.flatnonzero(new_boot | np.r_[True, np.diff(window) > 0])
    low, high = np.maximum.reduceat(earliest, starts), np.minimum.reduceat(latest, starts)
    first_ns, last_ns = (edge.reduceat(asked_ns, starts) for edge in (np.minimum, np.maximum))
    boot_ns = low + (high - low) // 2
    began = np.flatnonzero(np.diff(boot[starts]) > 0) + 1
    return DirectorClock(
        at_ns=first_ns + (last_ns - first_ns) // 2,
        boot_ns=boot_ns,
        uncertainty_s=float(np.abs(high - low).max()) / 2 / NS_PER_S,
        boot=boot[starts],
        began_ns=np.clip(boot_ns[began], last_ns[began - 1] + 1, first_ns[began]),
    )


def _boots(earliest_ns: Ints, latest_ns: Ints) -> Ints:
    """The number of the boot that each poll belongs to, by the bounds of its boot instant."""
    step_ns = round(CLOCK_STEP_S * NS_PER_S)
    later = earliest_ns[1:] - latest_ns[:-1] > step_ns
    sooner = earliest_ns[:-1] - latest_ns[1:] > step_ns
    return np.asarray(np.r_[0, np.cumsum(later | sooner)], dtype=np.int64)


def clock_steps(
    asked_ns: Ints, answered_ns: Ints, uptime_s: Floats, step_s: float = UPTIME_STEP_S
) -> tuple[Ints, Floats]:
    """Polls before which the boot instant moved, and by how many seconds; shapes (m,) and (m,).

    Args:
        asked_ns: when each poll was asked, client's clock, ascending; shape (n,).
        answered_ns: when it was answered; shape (n,).
        uptime_s: what the director's ``/proc/uptime`` said; shape (n,).
        step_s: the resolution of that.
    """
    boot = _boots(*boot_bounds_ns(asked_ns, answered_ns, uptime_s, step_s))
    after = np.flatnonzero(np.diff(boot)) + 1
    moved_s = np.diff(asked_ns) / NS_PER_S - np.diff(uptime_s)
    return after, moved_s[after - 1]


def iso(at_ns: int) -> str:
    """An instant as UTC in ISO 8601, to milliseconds."""
    return f"{np.datetime64(at_ns // 1_000_000, 'ms')}Z"
