"""The proof of a plan: what each director carried, lost and delayed, against the computed.

A lab has the plan's directors, with links and traffic scaled down. In a window before and one
after each loss of directors the counters of the directors' links and the datagrams are evaluated.
Rates are given in the size of the question, not of the lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from analyzer.capacity.lattice import loads
from analyzer.capacity.queue import lost_share
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.capacity.question import CapacityQuestion, Lists
    from analyzer.capacity.queue import TokenBucket
    from analyzer.recording.ending import Ending


TOLERANCE = 0.03
"""Allowed difference of measured and computed, as a share of the computed (of the link if 0)."""

Window = tuple[int, int]
"""Beginning and end, Unix nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One loss of directors, as carried out.

    Attributes:
        down: the directors, from 0.
        before, after: the windows; None if the run ended before.
        crashed_ns: when it was ordered, Unix time.
    """

    down: tuple[int, ...]
    before: Window | None = None
    crashed_ns: int | None = None
    after: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The plan to be proven, and the lab's set-up for it.

    Attributes:
        question: directors, links and traffic, in full size.
        lists: per VIP its directors, first choice first.
        vips: the VIPs' addresses, in the order of the lists.
        directors: their names.
        scale: a bit rate of the lab over that of the question.
        link: of a director in the lab.
        planned: number of losses planned.
        losses: those carried out.
    """

    question: CapacityQuestion
    lists: Lists
    vips: tuple[str, ...]
    directors: tuple[str, ...]
    scale: float
    link: TokenBucket
    planned: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One director's traffic in one window, bits per second in the size of the question.

    Attributes:
        offered_bps: its VIPs' traffic.
        computed_bps: the part that its link passes.
        measured_bps: None if it was not measured.
    """

    director: str
    offered_bps: float
    computed_bps: float
    measured_bps: float | None
    link_bps: float

    @property
    def difference(self) -> float | None:
        """Measured less computed, over the computed; over the link where nothing was computed."""
        if self.measured_bps is None:
            return None
        return (self.measured_bps - self.computed_bps) / (self.computed_bps or self.link_bps)

    @property
    def agrees(self) -> bool:
        """Whether the measured traffic is known, and as computed."""
        return self.difference is not None and abs(self.difference) <= TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class VipCount:
    """One VIP's datagrams in one window."""

    vip: str
    director: str
    sent: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofState:
    """One window's measurement: traffic, losses and delays.

    Attributes:
        down: names of the directors that were down.
        carried: by the directors that were up.
        computed_lost_share: the share of the traffic that full links lose.
        delay_p50_ms, delay_p99_ms: from sent to received by a real server; None if none was.
        worst_late_ms: the sender's largest delay with a datagram.
    """

    down: tuple[str, ...]
    seconds: float
    carried: tuple[Carried, ...]
    vips: tuple[VipCount, ...]
    computed_lost_share: float
    delay_p50_ms: float | None
    delay_p99_ms: float | None
    worst_late_ms: float | None

    @property
    def sent(self) -> int:
        """Datagrams to all VIPs."""
        return sum(vip.sent for vip in self.vips)

    @property
    def lost(self) -> int:
        """Datagrams that no real server received."""
        return sum(vip.lost for vip in self.vips)

    @property
    def lost_share(self) -> float | None:
        """The share of the datagrams lost; None if none was sent."""
        return self.lost / self.sent if self.sent else None

    @property
    def agrees(self) -> bool:
        """Whether traffic and losses are as computed."""
        lost = self.lost_share
        return (
            all(carried.agrees for carried in self.carried)
            and lost is not None
            and abs(lost - self.computed_lost_share) <= TOLERANCE
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenLoss:
    """A loss of directors, measured.

    Attributes:
        before, after: None if the run ended before.
        away_s: the longest time without a datagram after the crash, by VIP that had to move.
        disturbed_s: the longest such time of all VIPs that stayed; None if there are none.
    """

    down: tuple[str, ...]
    before: ProofState | None
    after: ProofState | None
    away_s: Mapping[str, float]
    disturbed_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The measurement of a plan."""

    run: str
    experiment: Experiment
    losses: tuple[ProvenLoss, ...]
    not_measured: tuple[tuple[str, str], ...]
    ending: Ending | None = None

    @property
    def states(self) -> list[ProofState]:
        """All measured windows."""
        windows = [state for loss in self.losses for state in (loss.before, loss.after)]
        return [state for state in windows if state is not None]

    @property
    def complete(self) -> bool:
        """Whether every planned loss was measured, before and after."""
        went_on = self.ending is None or self.ending.is_whole
        return went_on and len(self.states) == 2 * self.experiment.planned

    @property
    def holds(self) -> bool:
        """Whether everything was measured, and was as computed."""
        return self.complete and all(state.agrees for state in self.states)

    @property
    def worst_difference(self) -> float | None:
        """The largest difference of measured and computed, with its sign."""
        differences = [carried.difference for state in self.states for carried in state.carried]
        known = [difference for difference in differences if difference is not None]
        return max(known, key=abs, default=None)


def prove(
    run: str,
    experiment: Experiment,
    links: pd.DataFrame,
    datagrams: pd.DataFrame,
    ending: Ending | None = None,
) -> Proof:
    """Compare the measured with the computed.

    Args:
        run: its name.
        experiment: the plan and its losses.
        links: the recording's table, by host and time.
        datagrams: the recording's table.
        ending: of the run; None where it is not known.
    """
    sample = _Samples(links, datagrams)
    losses = tuple(_measured(experiment, loss, sample) for loss in experiment.losses)
    return Proof(
        run=run,
        experiment=experiment,
        losses=losses,
        not_measured=tuple(_not_measured(experiment, losses)),
        ending=ending,
    )


class _Samples:
    """The two tables as sorted arrays."""

    def __init__(self, links: pd.DataFrame, datagrams: pd.DataFrame) -> None:
        ordered = datagrams.sort_values("sent", kind="stable")
        self.vip = ordered["vip"].to_numpy(dtype=object)
        self.due, self.sent, self.received = (
            ordered[name].to_numpy(dtype="datetime64[ns]").astype(np.int64)
            for name in ("due", "sent", "received")
        )
        self.was_received = ordered["received"].notna().to_numpy(dtype=bool)
        self._counters = {
            str(host): (
                rows["at"].to_numpy(dtype="datetime64[ns]").astype(np.int64),
                rows["in_bytes"].to_numpy(dtype=np.int64),
            )
            for host, rows in links.sort_values("at", kind="stable").groupby("host")
        }

    def carried_bps(self, host: str, window: Window) -> float | None:
        """The traffic towards a host; None unless its counters span the window."""
        if host not in self._counters:
            return None
        at, count = self._counters[host]
        if at[0] > window[0] or at[-1] < window[1]:
            return None
        seconds = (window[1] - window[0]) / NS_PER_S
        begin, end = np.interp([t - at[0] for t in window], at - at[0], count)
        return float(end - begin) * 8 / seconds

    def within(self, window: Window) -> slice:
        """The datagrams that were sent in a window."""
        begin, end = np.searchsorted(self.sent, window)
        return slice(int(begin), int(end))

    def longest_gap_s(self, vip: str, since_ns: int, until_ns: int) -> float:
        """The longest time without an arrival, between two instants."""
        arrivals = self.received[(self.vip == vip) & self.was_received]
        arrivals = np.sort(arrivals[(arrivals > since_ns) & (arrivals < until_ns)])
        return float(np.diff(np.r_[since_ns, arrivals, until_ns]).max()) / NS_PER_S


def _measured(experiment: Experiment, loss: Loss, sample: _Samples) -> ProvenLoss:
    away: dict[str, float] = {}
    stayed: list[float] = []
    if loss.crashed_ns is not None and loss.after is not None:
        for vip, order in zip(experiment.vips, experiment.lists, strict=True):
            gap_s = sample.longest_gap_s(vip, loss.crashed_ns, loss.after[0])
            if order[0] in loss.down:
                away[vip] = gap_s
            else:
                stayed.append(gap_s)
    return ProvenLoss(
        down=_names(experiment, loss.down),
        before=_state(experiment, (), loss.before, sample),
        after=_state(experiment, loss.down, loss.after, sample),
        away_s=away,
        disturbed_s=max(stayed, default=None),
    )


def _state(
    experiment: Experiment, down: Sequence[int], window: Window | None, sample: _Samples
) -> ProofState | None:
    if window is None:
        return None
    carried = _carried(experiment, down, window, sample)
    cut = sample.within(window)
    delays_ms = (sample.received[cut] - sample.sent[cut])[sample.was_received[cut]] / 1e6
    late_ms = (sample.sent[cut] - sample.due[cut]) / 1e6
    offered_bps = sum(director.offered_bps for director in carried)
    return ProofState(
        down=_names(experiment, down),
        seconds=(window[1] - window[0]) / NS_PER_S,
        carried=carried,
        vips=_counts(experiment, down, cut, sample),
        computed_lost_share=1 - sum(director.computed_bps for director in carried) / offered_bps,
        delay_p50_ms=_percentile(delays_ms, 50),
        delay_p99_ms=_percentile(delays_ms, 99),
        worst_late_ms=_percentile(late_ms, 100),
    )


def _carried(
    experiment: Experiment, down: Sequence[int], window: Window, sample: _Samples
) -> tuple[Carried, ...]:
    question, scale = experiment.question, experiment.scale
    shares = (Fraction(1, len(experiment.lists)),) * len(experiment.lists)
    loads_now = loads(experiment.lists, shares, question.hosts, frozenset(down))
    rows = []
    for number, name in enumerate(experiment.directors):
        if number in down:
            continue
        offered_bps = float(loads_now[number] * question.ingress_bps)
        lost = lost_share(offered_bps * scale, experiment.link, float(question.burst))
        measured_bps = sample.carried_bps(name, window)
        rows.append(
            Carried(
                director=name,
                offered_bps=offered_bps,
                computed_bps=offered_bps * (1 - lost),
                measured_bps=None if measured_bps is None else measured_bps / scale,
                link_bps=float(question.link_bps),
            )
        )
    return tuple(rows)


def _counts(
    experiment: Experiment, down: Sequence[int], cut: slice, sample: _Samples
) -> tuple[VipCount, ...]:
    to, got = sample.vip[cut], sample.was_received[cut]
    counts = []
    for vip, order in zip(experiment.vips, experiment.lists, strict=True):
        of_vip = to == vip
        holder = next(director for director in order if director not in down)
        counts.append(
            VipCount(
                vip=vip,
                director=experiment.directors[holder],
                sent=int(of_vip.sum()),
                lost=int((of_vip & ~got).sum()),
            )
        )
    return tuple(counts)


def _percentile(values: npt.NDArray[np.float64], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None


def _names(experiment: Experiment, down: Sequence[int]) -> tuple[str, ...]:
    return tuple(experiment.directors[number] for number in down)


def _not_measured(experiment: Experiment, losses: Sequence[ProvenLoss]) -> list[tuple[str, str]]:
    """What was not measured, and why."""
    rows = []
    for loss in losses:
        who = " and ".join(loss.down)
        for name, state in (("before", loss.before), ("after", loss.after)):
            if state is None:
                rows.append((f"{name} the loss of {who}", "the run ended before"))
                continue
            rows += [
                (f"{carried.director}, {name} the loss of {who}", "its link's counters are missing")
                for carried in state.carried
                if carried.measured_bps is None
            ]
    missing = experiment.planned - len(losses)
    if missing:
        rows.append((f"{missing} of {experiment.planned} losses", "the run ended before"))
    return rows
