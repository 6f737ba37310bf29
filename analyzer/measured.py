"""What was measured of one director, as a value; ``analyzer.measure`` makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed.masquerades import no_hidden_connections

if TYPE_CHECKING:
    from analyzer.arrays import Ints
    from analyzer.charts.curves import Curve
    from analyzer.compared.passage import Passage
    from analyzer.conntrack.replay import ConntrackRules
    from analyzer.estimate.counted.results import CountedService
    from analyzer.estimate.in_force.model import InForce
    from analyzer.observed.parted import Parted
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.phase import InferredPhase
    from analyzer.predicted.replay import DirectorRules
    from analyzer.predicted.untracked import Untracked
    from analyzer.recording.director import Director
    from analyzer.results import Agreement, EndedEarly, Lifetime, NotMeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of one director.

    Attributes:
        tracked: its tracked entries, joined with what is known of their packets; with a capture
            ``first_packet_ns`` too, of the flow, on its way through this director.
        prediction: None without a capture.
        foreign_entries: entries seen that no packet or request of this run belongs to.
        inferred: the phase of its timers, where it had to be inferred.
        rules: those of the prediction, HZ and phase as learnt.
        in_force: its timeouts, as reported and as its entries show them.
        passage: what passed it; None without a capture.
        untracked: of a netfilter director, what of its passage made no entry; None without packets.
        hidden: of a netfilter director, ``hidden_connections``.
        conntrack: of a netfilter director, its rules; ``rules`` and ``in_force`` then mean nothing.
    """

    director: Director
    tracked: Parted
    prediction: Prediction | None
    lifetimes: list[Lifetime]
    predicted: list[Curve]
    agreement: Agreement | None
    ended_early: list[EndedEarly]
    foreign_entries: int
    inferred: InferredPhase | None
    rules: DirectorRules
    in_force: InForce
    not_measured: list[NotMeasured]
    counted: list[CountedService] = field(default_factory=list)  # by counters alone
    passage: Passage | None = None
    conntrack: ConntrackRules | None = None
    untracked: Untracked | None = None
    hidden: Parted = field(default_factory=no_hidden_connections)

    def flows_in(self, *states: str) -> Ints:
        """The flow of each tracked entry that was last in one of these states, ascending."""
        return self.tracked.column(
            lambda rows: np.sort(
                rows.loc[rows["state"].isin(states), "flow"].to_numpy(dtype=np.int64)
            )
        )
