"""From counters alone: lifetimes for a director whose entries and packets nobody saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.agreement import value_at
from analyzer.decay import group_row
from analyzer.ipvs.states import State
from analyzer.ipvs.timers import KNOWN_HZ, granule_s
from analyzer.mixture import decompose
from analyzer.results import Lifetime, NotMeasured, Spread
from analyzer.state_timeouts import configured_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.courses import Curve
    from analyzer.director import Director
    from analyzer.mixture import Component

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_ENDS = {
    "nat": {120.0: State.TIME_WAIT, 10.0: State.CLOSE, 60.0: State.CLOSE_WAIT},
    "local": {120.0: State.TIME_WAIT, 10.0: State.CLOSE},
}
_OTHER_ENDS = {10.0: State.CLOSE}
"""In dr and tun a closed connection ends in FIN_WAIT, and a reset one in CLOSE."""


def counted_lifetimes(
    director: Director, forwarding: str, observed: Sequence[Curve]
) -> tuple[list[Lifetime], list[NotMeasured]]:
    """Which timeouts explain the decay of InActConn, and what cannot be told from it.

    Args:
        director: its facts.
        forwarding: dr, nat, tun or local.
        observed: its polled curves, one per real server.

    Returns:
        One row for each timeout in the mixture; ``lifetime_s`` and ``timeout_measured_s`` are
        estimates, their uncertainties a granule and a poll.
    """
    t_s, inactive = _total(observed)
    ends = _ENDS.get(forwarding, _OTHER_ENDS)
    mixture = None
    if len(t_s) > 2:
        mixture = decompose(t_s, inactive, sorted(ends), director.hz)
    if mixture is None:
        why = "InActConn never rose and fell by a timeout that would explain it"
        return [], [NotMeasured(what=f"tcpfin on {director.name}", why=why)]
    known = replace(director, hz=mixture.hz)
    rows = [_row(known, part, _state(part, ends, director)) for part in mixture.components]
    return rows, _doubts(director, rows, mixture.came_over_s)


def _total(observed: Sequence[Curve]) -> tuple[Floats, Ints]:
    """InActConn over all real servers; one that is removed for a while keeps its count."""
    if not observed:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    t_s = np.unique(np.concatenate([curve.t_s for curve in observed]))
    total = np.zeros(len(t_s), dtype=np.int64)
    for curve in observed:
        total += value_at(curve.t_s, curve.inactive, t_s)
    return t_s, total


def _state(part: Component, ends: dict[float, State], director: Director) -> State:
    """The state that waits this timeout; a settable one only where no fixed one explains it."""
    nearest_s = min(ends, key=lambda value_s: abs(value_s - part.timeout_s.value))
    if abs(nearest_s - part.timeout_s.value) > part.timeout_s.uncertainty:
        return State.FIN_WAIT
    tcpfin_s = configured_s(director, State.FIN_WAIT.name)
    could_be_tcpfin = ends[nearest_s] is State.CLOSE and (
        tcpfin_s is None or abs(tcpfin_s - part.timeout_s.value) <= part.timeout_s.uncertainty
    )
    return State.FIN_WAIT if could_be_tcpfin else ends[nearest_s]


def _row(director: Director, part: Component, state: State) -> Lifetime:
    n = round(part.n)
    timeout_s = part.timeout_s.value
    late_s = granule_s(timeout_s, director.hz or KNOWN_HZ[0])
    row = group_row(director, state.name, configured_s(director, state.name), n)
    return replace(
        row,
        n_expired=n,
        lifetime_s=Spread(
            mean=timeout_s + late_s / 2,
            min=timeout_s,
            max=timeout_s + late_s,
            uncertainty=part.timeout_s.uncertainty,
        ),
        timeout_measured_s=part.timeout_s,
    )


TOO_LONG_A_LOAD = 0.8
"""Of the timeout: a load that lasted longer shows its own length as well as the timeout's."""


def _doubts(director: Director, rows: list[Lifetime], came_over_s: float) -> list[NotMeasured]:
    why = "from counters alone: neither entries nor packets were seen"
    found = [NotMeasured(what=f"states and single lifetimes on {director.name}", why=why)]
    governed = [row for row in rows if row.timeout_name == "tcpfin"]
    if not governed:
        why = "no entry is explained by a timeout other than the kernel's fixed ones"
        return [*found, NotMeasured(what=f"tcpfin on {director.name}", why=why)]
    if any(
        came_over_s > TOO_LONG_A_LOAD * row.lifetime_s.min for row in governed if row.lifetime_s
    ):
        why = "the load lasted about as long as entries live; counters cannot tell the two apart"
        found.append(NotMeasured(what=f"tcpfin on {director.name}, for certain", why=why))
    close_s = 10.0
    for row in governed:
        measured = row.timeout_measured_s
        if measured and abs(measured.value - close_s) <= measured.uncertainty:
            why = "10 s is also what a reset connection waits (CLOSE); counters cannot tell them"
            found.append(NotMeasured(what=f"closed or reset, on {director.name}", why=why))
    return found
