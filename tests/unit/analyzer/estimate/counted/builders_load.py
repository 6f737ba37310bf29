"""A director's InActConn under a load whose lifetimes are known: what a log of polls would show.

Connections come by a schedule, become inactive at once, and go when the kernel's timers say so, or
(for logs made by other simulators) after a lateness drawn for each alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.counted.rates import ConnectionRates
from analyzer.estimate.counted.series import CounterSeries
from analyzer.ipvs.timers import expiry_uptime_s, granule_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

START_S = 1000.0  # of the first load, on the director's clock


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a load: from a rate to a rate over some time, then a pause."""

    over_s: float
    rate_per_s: float
    to_rate_per_s: float | None = None
    then_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Log:
    """A log of one service. ``lateness``: kernel, random (0 to a granule each), none."""

    stages: Sequence[Stage]
    timeout_s: float
    poll_s: float = 2.0
    hz: int = 250
    phase_s: float = 0.17
    lateness: str = "kernel"
    arrivals: str = "regular"  # or poisson
    stamps: str = "whole"  # or fine
    begins_s: float = -10.0  # the log, from the first load on
    ends_s: float | None = None  # None: when all has gone
    protocol: str = "TCP"
    forwarding: str = "dr"
    with_conns: bool = False
    with_rates: bool = False
    estimator_phase_s: float = 0.7
    estimator_step_s: float = 2.016  # with the timer's lateness
    estimates: tuple[float, float] = (-np.inf, np.inf)  # from the first load on, when it runs
    reset_share: float = 0.0  # that wait 10 s instead
    seed: int = 1
    _random: np.random.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_random", np.random.default_rng(self.seed))

    def came_s(self) -> Floats:
        """When connections became inactive."""
        parts, begin_s = [], START_S
        for stage in self.stages:
            parts.append(begin_s + self._of_stage(stage))
            begin_s += stage.over_s + stage.then_s
        return np.sort(np.concatenate(parts))

    def _of_stage(self, stage: Stage) -> Floats:
        first = stage.rate_per_s
        last = first if stage.to_rate_per_s is None else stage.to_rate_per_s
        grid_s = np.linspace(0, stage.over_s, 2001)
        upto = first * grid_s + (last - first) * grid_s**2 / (2 * stage.over_s)
        total = float(upto[-1])
        if self.arrivals == "poisson":
            count = self._random.poisson(total)
            which = np.sort(self._random.uniform(0, total, count))
        else:
            which = np.arange(float(round(total))) + 0.25
        return np.interp(which, upto, grid_s)

    def absent_s(self, came_s: Floats) -> Floats:
        waits_s = np.full(len(came_s), self.timeout_s, dtype=np.float64)
        if self.reset_share:
            waits_s[self._random.uniform(size=len(came_s)) < self.reset_share] = 10.0
        if self.lateness == "kernel":
            return expiry_uptime_s(came_s, waits_s, hz=self.hz, phase_s=self.phase_s)
        late_s = granule_s(self.timeout_s, self.hz)
        if self.lateness == "random":
            return came_s + waits_s + self._random.uniform(0, late_s, len(came_s))
        return came_s + waits_s + late_s / 2

    def series(self) -> CounterSeries:
        """What the log shows."""
        came_s = self.came_s()
        absent_s = self.absent_s(came_s)
        ends_s = absent_s.max() + 8 * self.poll_s if self.ends_s is None else START_S + self.ends_s
        t_s = np.arange(START_S + self.begins_s, ends_s, self.poll_s)
        shown_s = np.floor(t_s) if self.stamps == "whole" else t_s
        last = np.r_[np.diff(shown_s) > 0, True]  # of several polls in one second
        t_s, shown_s = t_s[last], shown_s[last]
        ever = np.searchsorted(came_s, t_s, side="right")
        held = ever - np.searchsorted(np.sort(absent_s), t_s, side="right")
        return CounterSeries(
            director="director",
            service=f"{self.protocol} 192.0.2.80:80",
            protocol=self.protocol,
            forwarding=self.forwarding,
            t_s=shown_s - shown_s[0],
            active=np.zeros(len(t_s), dtype=np.int64),
            inactive=held.astype(np.int64),
            conns=ever.astype(np.int64) + 1000 if self.with_conns else None,
            stamp_s=1.0 if self.stamps == "whole" else 0.0,
            rates=self._rates(t_s, shown_s - shown_s[0], came_s) if self.with_rates else None,
        )

    def _rates(self, t_s: Floats, shown_s: Floats, came_s: Floats) -> ConnectionRates:
        """CPS by the kernel's own arithmetic (net/netfilter/ipvs/ip_vs_est.c)."""
        begin_s = min(t_s[0], came_s[0]) - 40 + self.estimator_phase_s
        steps_s = np.arange(begin_s, t_s[-1] + self.estimator_step_s, self.estimator_step_s)
        conns = np.searchsorted(came_s, steps_s, side="right")
        held, scaled, last = [0], 0, 0
        runs_from_s, runs_to_s = (START_S + since_s for since_s in self.estimates)
        for step_s, now in zip(steps_s, conns.tolist(), strict=True):
            if runs_from_s <= step_s <= runs_to_s:
                scaled += (((now - last) << 9) - scaled) >> 2
                last = now
            held.append(scaled)
        index = np.searchsorted(steps_s, t_s, side="right")
        return ConnectionRates(t_s=shown_s, cps=(np.array(held)[index] + 0x1FF) >> 10, servers=1)
