"""A proof as values: the experiment, and what was measured in each window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
class MeasuredWindow:
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
    before: MeasuredWindow | None
    after: MeasuredWindow | None
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
    def windows(self) -> list[MeasuredWindow]:
        """All measured windows."""
        planned = [window for loss in self.losses for window in (loss.before, loss.after)]
        return [window for window in planned if window is not None]

    @property
    def complete(self) -> bool:
        """Whether every planned loss was measured, before and after."""
        went_on = self.ending is None or self.ending.is_whole
        return went_on and len(self.windows) == 2 * self.experiment.planned

    @property
    def holds(self) -> bool:
        """Whether everything was measured, and was as computed."""
        return self.complete and all(window.agrees for window in self.windows)

    @property
    def worst_difference(self) -> float | None:
        """The largest difference of measured and computed, with its sign."""
        differences = [carried.difference for window in self.windows for carried in window.carried]
        known = [difference for difference in differences if difference is not None]
        return max(known, key=abs, default=None)
