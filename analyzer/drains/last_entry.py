"""When each entry is removed: from its state, its remaining time and the timer wheel.

An entry whose timer is not restarted is removed when its timer fires. A poll gives the nominal
instant to a second (``expires`` is printed in whole ones); where the poll before it had not seen
this timer yet, the timeout of its state gives it more closely. The wheel then delays it by up
to a granule. A persistence template that still has entries under it is put off by 60 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.persistence import PUT_OFF_S
from analyzer.ipvs.states import State, Timeouts, timeout_by_state_s
from analyzer.ipvs.table_diff.restarts import BUSY_STATES, RESTART_S
from analyzer.ipvs.timers import JIFFIES_AT_BOOT_S, granule_jiffies
from analyzer.recording.clock import REACTION_S
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Bools, Floats

    Names = npt.NDArray[np.object_]

PRINTED_S = 1.0
"""``/proc/net/ip_vs_conn`` prints whole seconds, rounded down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """What determines when a director's timers fire.

    Attributes:
        hz: its jiffies per second; None where not known.
        phase_s: by how much its jiffies lag its uptime; None where not known.
        uncertainty_s: of its clock and its phase together.
    """

    timeouts: Timeouts
    hz: int | None
    phase_s: float | None
    uncertainty_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTimers:
    """Entries that a director holds; every array has shape (n,), instants are of its uptime.

    Attributes:
        state: by the kernel's name.
        client: the client's address, which connects entries with their template.
        seen_s: the poll that gave ``expires_s``.
        before_s: the poll before it, if that one had not seen this timer yet; else -inf.
        is_template: it is a persistence template.
        renewed: its timer was seen restarted in its state, by traffic.
        ends_s: between which instants its timer ends, by all polls of it; None where only the last
            poll is known.
        most_left_s: the most that it ever had left, which its timer was set to at the least.
    """

    state: Names
    client: Names
    seen_s: Floats
    expires_s: Floats
    before_s: Floats
    is_template: Bools
    renewed: Bools
    ends_s: tuple[Floats, Floats] | None = None
    most_left_s: Floats | None = None

    def __len__(self) -> int:
        return len(self.state)


def timeouts_s(held: EntryTimers, timeouts: Timeouts) -> Floats:
    """The least that each entry's timer was set to: its state's timeout, or what it had left."""
    by_state = timeout_by_state_s(timeouts)
    known = {state.name: float(by_state[state]) for state in State}
    by_name = np.array([known.get(name, np.nan) for name in held.state], dtype=np.float64)
    most_s = held.expires_s if held.most_left_s is None else held.most_left_s
    at_least = most_s + PRINTED_S
    return np.where(held.is_template | ~(by_name >= held.expires_s), at_least, by_name)


def nominal_s(held: EntryTimers, timeouts: Timeouts) -> tuple[Floats, Floats]:
    """The earliest and the latest nominal end of each timer; two arrays of shape (n,).

    While an entry is late it shows 0, so that nothing bounds how long its end has passed; the
    wheel does, and ``removal_s`` never lets an entry go before it was last seen.
    """
    low, high = held.seen_s + held.expires_s, held.seen_s + held.expires_s + PRINTED_S
    low = np.where(held.expires_s == 0, -np.inf, low)
    if held.ends_s is not None:
        low, high = np.maximum(low, held.ends_s[0]), np.minimum(high, held.ends_s[1])
    set_to = timeouts_s(held, timeouts)
    is_busy = np.isin(held.state.astype("U16"), BUSY_STATES)
    sharp = np.maximum(low, np.where(held.is_template | is_busy, -np.inf, held.before_s + set_to))
    sharp_end = np.where(held.is_template, high, np.minimum(high, held.seen_s + set_to))
    agrees = sharp <= sharp_end  # else a timeout was changed meanwhile: what is printed holds
    return np.where(agrees, sharp, low), np.where(agrees, sharp_end, high) + is_busy * RESTART_S


def removal_s(held: EntryTimers, timers: Timers) -> tuple[Floats, Floats]:
    """The earliest and the latest removal of each entry; two arrays of shape (n,)."""
    low, high = nominal_s(held, timers.timeouts)
    set_to = timeouts_s(held, timers.timeouts)
    low = np.maximum(low - timers.uncertainty_s, held.seen_s - _coarsest_s(set_to, timers))
    first, last = (
        _fires(low, set_to, timers)[0],
        _fires(high + timers.uncertainty_s, set_to, timers)[1],
    )
    first = np.maximum(first - timers.uncertainty_s, held.seen_s)
    last = np.maximum(last + timers.uncertainty_s, first) + REACTION_S
    for i in np.flatnonzero(held.is_template):
        of_client = ~held.is_template & (held.client == held.client[i])
        first[i] = _put_off(first[i], first[of_client], timers)[0]
        under = of_client if of_client.any() else ~held.is_template  # with a netmask, whoever it is
        last[i] = _put_off(last[i], last[under], timers)[1]
    return first, last


def _put_off(at_s: float, under_s: Floats, timers: Timers) -> tuple[float, float]:
    """When a template is removed whose timer fires at ``at_s``, by its entries' removals."""
    first = last = at_s
    set_to = np.array([PUT_OFF_S])
    while len(under_s) and under_s.max() > first:
        first, last = (
            float(_fires(np.array([edge + PUT_OFF_S]), set_to, timers)[side][0])
            for side, edge in enumerate((first, last))
        )
    return first, last


def _coarsest_s(set_to_s: Floats, timers: Timers) -> Floats:
    candidates = KNOWN_HZ if timers.hz is None else (timers.hz,)
    granules = [granule_jiffies(np.rint(set_to_s * hz).astype(np.int64)) / hz for hz in candidates]
    return np.asarray(np.max(granules, axis=0), dtype=np.float64)


def _fires(nominal: Floats, set_to_s: Floats, timers: Timers) -> tuple[Floats, Floats]:
    """The first and the last instant at which timers fire that end at these instants."""
    if timers.hz is None or timers.phase_s is None:
        return nominal, nominal + _coarsest_s(set_to_s, timers)
    since_boot = nominal - timers.phase_s + JIFFIES_AT_BOOT_S
    granule = granule_jiffies(np.rint(set_to_s * timers.hz).astype(np.int64))
    ticks = (np.floor(since_boot * timers.hz).astype(np.int64) // granule + 1) * granule
    fires = ticks / timers.hz - JIFFIES_AT_BOOT_S + timers.phase_s
    return fires, fires
