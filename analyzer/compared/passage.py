"""The segments that passed a director, and how it handled single ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared.server_changes import handled_by_servers
from analyzer.parts import by_stretches, over_stretches
from analyzer.predicted.outages import not_taken, outages, unsure
from analyzer.predicted.replay import handling
from analyzer.predicted.rules import segments_passed
from analyzer.results import NotMeasured
from analyzer.units import NS_PER_S
from analyzer.wire.answers import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.observed.record import DirectorRecord
    from analyzer.predicted.outages import Outage
    from analyzer.predicted.replay import Handling
    from analyzer.predicted.untracked import Untracked
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director
    from analyzer.wire.answers import Answers
    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The segments that were sent to one director, or by it.

    Attributes:
        segments: in the order that a replay walks.
        handled: what it did with them.
        outages: when it did not take what was sent to it.
        unsure: those of which it is not known whether it took them; shape (segments,).
        near_removal: those of them that came as their real server was removed, or came back.
    """

    segments: Segments
    handled: Handling
    outages: tuple[Outage, ...]
    unsure: Bools
    near_removal: Bools

    def only(self, chosen: Bools) -> Passage:
        """The chosen segments, in the same order."""
        return replace(
            self,
            segments=self.segments.only(chosen),
            handled=self.handled.only(chosen),
            unsure=self.unsure[chosen],
            near_removal=self.near_removal[chosen],
        )

    @property
    def unsure_flows(self) -> Ints:
        """The flows that have such segments, ascending."""
        flow = self.segments.flow
        found = [np.unique(flow[rows][self.unsure[rows]]) for rows in self._stretches()]
        return np.unique(np.concatenate(found)).astype(np.int64)

    def unsure_since_s(self, zero_ns: int) -> float:
        """When the first such segment came, since ``zero_ns``; infinity without one."""
        at_ns = [self.segments.at_ns[rows][self.unsure[rows]] for rows in self._stretches()]
        first_ns = [int(part.min()) for part in at_ns if len(part)]
        return (min(first_ns) - zero_ns) / NS_PER_S if first_ns else float("inf")

    def not_measured(self, director: str) -> list[NotMeasured]:
        """What is not known of it, as sentences."""
        by_outages = by_removals = 0
        for rows in self._stretches():
            unsure, near = self.unsure[rows], self.near_removal[rows]
            by_outages += int((unsure & ~near).sum())
            by_removals += int(near.sum())
        cases = (
            (by_outages, "it was cut off, or came back"),
            (by_removals, "their real server was removed, or came back"),
        )
        return [
            NotMeasured(
                what=f"whether {director} took {n} packet(s)",
                why=f"they came as {cause}, and no answer says which",
            )
            for n, cause in cases
            if n
        ]

    def _stretches(self) -> Iterator[slice]:
        """The rows of its segments, some at a time."""
        return over_stretches(self.segments.store, len(self.unsure), lambda rows: rows)


def passage_of(
    director: Director,
    evidence: Evidence,
    clock: DirectorClock,
    tracked: Parted,
    assumed: Bools | None = None,
) -> Passage:
    """The segments that passed a director.

    Args:
        director: its facts.
        evidence: the recording, with a capture.
        clock: of the director.
        tracked: what was seen of its entries.
        assumed: which of the recording's segments are taken to have passed it, where that is to
            differ from what did.
    """
    everything = evidence.segments
    assert everything is not None
    macs = director.macs or evidence.forwarder_macs
    passed = segments_passed(director, evidence, everything)
    answered = answers(everything, passed, macs)
    out = outages(director.name, evidence, clock, passed, answered, tracked)
    if assumed is not None:
        passed, answered = assumed, answers(everything, assumed, macs)
    segments = everything.only(passed)
    margin_ns = round(clock.margin_s * NS_PER_S)
    handled, near = _handled(segments, director, evidence, tracked, answered, out, margin_ns)
    return Passage(
        segments=segments,
        handled=handled,
        outages=out,
        unsure=unsure(segments, answered, out) | near if out else near,
        near_removal=near,
    )


def without_untracked(passage: Passage, apart: Untracked) -> Passage:
    """The same, where what conntrack made no entry for never got there."""
    masks = passage.handled.dropped, apart.opened_here, apart.refused

    def dropped(rows: slice) -> Bools:
        return np.asarray(masks[0][rows] | masks[1][rows] | masks[2][rows])

    by_either = by_stretches(passage.segments.store, len(masks[0]), dropped)
    return replace(passage, handled=replace(passage.handled, dropped=by_either))


def _handled(
    segments: Segments,
    director: Director,
    evidence: Evidence,
    tracked: Parted,
    answered: Answers,
    out: tuple[Outage, ...],
    margin_ns: int,
) -> tuple[Handling, Bools]:
    """How the director handled each segment; and those that a removal or return leaves open."""
    record = evidence.by_director[director.name]
    rejects = evidence.forwarding != "nat" and not _serves_itself(record)
    dropped = _dropped(segments, out, answered.rejected if rejects else None)
    by_servers = handled_by_servers(segments, director, evidence, tracked, answered, margin_ns)
    if by_servers is None:
        nothing = np.zeros(len(segments.flow), dtype=bool)
        return handling(len(segments.flow), dropped=dropped), nothing
    handled, undecided = by_servers
    return replace(handled, dropped=handled.dropped | dropped), undecided


def _dropped(segments: Segments, out: tuple[Outage, ...], rejected: Bools | None) -> Bools:
    """Which segments the director dropped whatever its tables: in outages, or rejected."""

    def dropped(rows: slice) -> Bools:
        in_outages = not_taken(segments.at_ns[rows], out)
        return in_outages if rejected is None else in_outages | rejected[rows]

    return by_stretches(segments.store, len(segments.flow), dropped)


def _serves_itself(record: DirectorRecord) -> bool:
    """Whether the director is one of its real servers: its resets may then be a server's."""
    return bool((record.services["forwarding"] == "local").any())
