"""A proof of capacity: what each director carried, lost and delayed, beside what was computed.

A lab has the plan's directors with links that are so many times slower; the traffic, too. Before
and after each loss of directors there is a window in which the counters of the directors' links
and the datagrams' fates are read. Rates are given in the size that was asked for, not the lab's.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from analyzer.capacity.lattice import loads
from analyzer.capacity.queue import lost_share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.capacity.question import CapacityQuestion, Lists
    from analyzer.capacity.queue import Link
    from analyzer.recording.ending import Ending

    Ints = npt.NDArray[np.int64]

TOLERANCE = 0.03
"""How far a measured share may be from the computed one; of it, or of the link where it is 0."""

Window = tuple[int, int]
"""Its beginning and end, Unix nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One loss of directors, as it was brought about.

    Attributes:
        down: the directors, from 0.
        before, after: the windows; None where the run did not come that far.
        crashed_ns: when it was ordered, Unix time.
    """

    down: tuple[int, ...]
    before: Window | None = None
    crashed_ns: int | None = None
    after: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What was to be proven, and how the lab stood for it.

    Attributes:
        question: directors, links and traffic, in the size that was asked for.
        lists: per VIP its directors, first choice first.
        vips: the VIPs' addresses, in the order of the lists.
        directors: their names.
        scale: a bit rate of the lab over the one that was asked for.
        link: a director's in the lab.
        planned: losses there were to be.
        losses: those there were.
    """

    question: CapacityQuestion
    lists: Lists
    vips: tuple[str, ...]
    directors: tuple[str, ...]
    scale: float
    link: Link
    planned: int
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One director in one window, bits a second in the size that was asked for.

    Attributes:
        offered_bps: its VIPs' traffic.
        computed_bps: what its link passes of that.
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
        """Whether it is known, and as computed."""
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
    """One window: who carried what, what was lost and how long it took.

    Attributes:
        down: names of the directors that were down.
        carried: the living directors.
        computed_lost_share: of the traffic, that full links lose.
        delay_p50_ms, delay_p99_ms: from sent to received by a real server; None if none was.
        worst_late_ms: how late the sender was with a datagram, at most.
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
        """Datagrams, over all VIPs."""
        return sum(vip.sent for vip in self.vips)

    @property
    def lost(self) -> int:
        """Those that no real server got."""
        return sum(vip.lost for vip in self.vips)

    @property
    def lost_share(self) -> float | None:
        """Of those sent; None if none were."""
        return self.lost / self.sent if self.sent else None

    @property
    def agrees(self) -> bool:
        """Whether shares and losses are as computed."""
        lost = self.lost_share
        return (
            all(each.agrees for each in self.carried)
            and lost is not None
            and abs(lost - self.computed_lost_share) <= TOLERANCE
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenLoss:
    """A loss of directors, measured.

    Attributes:
        before, after: None where the run did not come that far.
        away_s: by VIP that had to move, the longest time without a datagram, from the crash on.
        disturbed_s: likewise the longest of the VIPs that stayed; None if there are none.
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
        """All windows that were measured."""
        found = [state for loss in self.losses for state in (loss.before, loss.after)]
        return [state for state in found if state is not None]

    @property
    def complete(self) -> bool:
        """Whether every loss that was planned was measured, before and after."""
        went_on = self.ending is None or self.ending.is_whole
        return went_on and len(self.states) == 2 * self.experiment.planned

    @property
    def holds(self) -> bool:
        """Whether all was measured, and was as computed."""
        return self.complete and all(state.agrees for state in self.states)

    @property
    def worst_difference(self) -> float | None:
        """The measured share that is farthest from the computed one, with its sign."""
        found = [each.difference for state in self.states for each in state.carried]
        known = [difference for difference in found if difference is not None]
        return max(known, key=abs, default=None)


def prove(
    run: str,
    experiment: Experiment,
    links: pd.DataFrame,
    datagrams: pd.DataFrame,
    ending: Ending | None = None,
) -> Proof:
    """Set the measured beside the computed.

    Args:
        run: its name.
        experiment: what was done, and when.
        links: the recording's table, by host and time.
        datagrams: the recording's table.
        ending: of the run; None where it is not known.
    """
    sample = _Samples(links, datagrams)
    losses = tuple(_proven(experiment, loss, sample) for loss in experiment.losses)
    return Proof(
        run=run,
        experiment=experiment,
        losses=losses,
        not_measured=tuple(_not_measured(experiment, losses)),
        ending=ending,
    )


class _Samples:
    """The two tables, as arrays that are cut quickly."""

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
        """What went towards a host; None unless its counters span the window."""
        if host not in self._counters:
            return None
        at, count = self._counters[host]
        if at[0] > window[0] or at[-1] < window[1]:
            return None
        seconds = (window[1] - window[0]) / 1e9
        begin, end = np.interp([t - at[0] for t in window], at - at[0], count)
        return float(end - begin) * 8 / seconds

    def within(self, window: Window) -> slice:
        """The datagrams that were sent in a window."""
        begin, end = np.searchsorted(self.sent, window)
        return slice(int(begin), int(end))

    def longest_gap_s(self, vip: str, since_ns: int, until_ns: int) -> float:
        """The longest time without an arrival, between two instants."""
        mine = self.received[(self.vip == vip) & self.was_received]
        mine = np.sort(mine[(mine > since_ns) & (mine < until_ns)])
        return float(np.diff(np.r_[since_ns, mine, until_ns]).max()) / 1e9


def _proven(experiment: Experiment, loss: Loss, sample: _Samples) -> ProvenLoss:
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
    offered_bps = sum(each.offered_bps for each in carried)
    return ProofState(
        down=_names(experiment, down),
        seconds=(window[1] - window[0]) / 1e9,
        carried=carried,
        vips=_counts(experiment, down, cut, sample),
        computed_lost_share=1 - sum(each.computed_bps for each in carried) / offered_bps,
        delay_p50_ms=_percentile(delays_ms, 50),
        delay_p99_ms=_percentile(delays_ms, 99),
        worst_late_ms=_percentile(late_ms, 100),
    )


def _carried(
    experiment: Experiment, down: Sequence[int], window: Window, sample: _Samples
) -> tuple[Carried, ...]:
    question, scale = experiment.question, experiment.scale
    shares = (Fraction(1, len(experiment.lists)),) * len(experiment.lists)
    held = loads(experiment.lists, shares, question.hosts, frozenset(down))
    made = []
    for number, name in enumerate(experiment.directors):
        if number in down:
            continue
        offered_bps = float(held[number] * question.ingress_bps)
        lost = lost_share(offered_bps * scale, experiment.link, float(question.burst))
        measured_bps = sample.carried_bps(name, window)
        made.append(
            Carried(
                director=name,
                offered_bps=offered_bps,
                computed_bps=offered_bps * (1 - lost),
                measured_bps=None if measured_bps is None else measured_bps / scale,
                link_bps=float(question.link_bps),
            )
        )
    return tuple(made)


def _counts(
    experiment: Experiment, down: Sequence[int], cut: slice, sample: _Samples
) -> tuple[VipCount, ...]:
    to, got = sample.vip[cut], sample.was_received[cut]
    counts = []
    for vip, order in zip(experiment.vips, experiment.lists, strict=True):
        mine = to == vip
        holder = next(director for director in order if director not in down)
        counts.append(
            VipCount(
                vip=vip,
                director=experiment.directors[holder],
                sent=int(mine.sum()),
                lost=int((mine & ~got).sum()),
            )
        )
    return tuple(counts)


def _percentile(values: npt.NDArray[np.float64], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None


def _names(experiment: Experiment, down: Sequence[int]) -> tuple[str, ...]:
    return tuple(experiment.directors[number] for number in down)


def _not_measured(experiment: Experiment, losses: Sequence[ProvenLoss]) -> list[tuple[str, str]]:
    """What, and why."""
    found = []
    for loss in losses:
        who = " and ".join(loss.down)
        for name, state in (("before", loss.before), ("after", loss.after)):
            if state is None:
                found.append((f"{name} the loss of {who}", "the run ended before"))
                continue
            found += [
                (f"{each.director}, {name} the loss of {who}", "its link's counters are missing")
                for each in state.carried
                if each.measured_bps is None
            ]
    missing = experiment.planned - len(losses)
    if missing:
        found.append((f"{missing} of {experiment.planned} losses", "the run ended before"))
    return found
