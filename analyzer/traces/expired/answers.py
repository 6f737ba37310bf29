"""Answers to packets that came after their entry had expired, as far as captured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.recording.instants import latest_row
from analyzer.traces.expired.model import ANSWERS
from analyzer.units import NS_PER_S
from analyzer.wire.segments import SENT_ON_NS

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.traces.expired.model import Answer
    from analyzer.traces.expired.part import DirectorFacts, FlowPart

    Codes = npt.NDArray[np.int8]

ANSWER_NS = 3_000_000_000
"""Within so long an answer follows its packet."""

NOT_KNOWN = -1
"""Of a flow that was sent on to one server only: whether it moved to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRows:
    """Late packets of some flows, by flow, then time, case by case.

    Attributes:
        flow, at_ns: of each packet; shape (n,).
        starts: the row at which each case begins; shape (cases,).
    """

    flow: Ints
    at_ns: Ints
    starts: Ints

    @property
    def packets(self) -> Ints:
        """How many each case has; shape (cases,)."""
        return np.asarray(np.diff(np.r_[self.starts, len(self.flow)]))

    def of_flows(self, flow: Ints) -> Bools:
        """Which cases are of some flows; shape (cases,)."""
        return np.isin(self.flow[self.starts], flow)

    def followed(self, flow: Ints, at_ns: Ints, within_ns: int) -> Bools:
        """Which cases have a packet that one of its flow's answers follows within a time.

        Args:
            flow: of the answers, by flow, then time; shape (answers,).
            at_ns: likewise.
            within_ns: the time.
        """
        follows = follow(flow, at_ns, self.flow, self.at_ns, within_ns)
        return np.logical_or.reduceat(follows, self.starts) if len(self.starts) else follows


def follow(flow: Ints, at_ns: Ints, of_flow: Ints, from_ns: Ints, within_ns: int) -> Bools:
    """Which packets an answer follows within a time, or comes with; shape (n,).

    Args:
        flow: of the answers, by flow, then time; shape (answers,).
        at_ns: likewise.
        of_flow: of the packets; shape (n,).
        from_ns: likewise.
        within_ns: the time.
    """
    found = latest_row(flow, at_ns, of_flow, from_ns + within_ns)
    follows = found >= 0
    follows[follows] = at_ns[found[follows]] >= from_ns[follows]
    return follows


def answers_to_clients(facts: DirectorFacts, part: FlowPart, late: LateRows) -> Codes:
    """The captured answer to each case of clients' packets."""
    segments, legs = part.segments, part.legs
    flow, at_ns, back = segments.flow, segments.at_ns, ~segments.to_vip
    leaves = is_one_of(segments.source_mac, facts.macs)
    copies, onward = leaves & ~back, legs["to_server"] & part.sent_on
    resets, replies = (back & (segments.flag == Flag.RST), back & (segments.flag != Flag.RST))
    sent_on = late.followed(flow[copies], at_ns[copies], SENT_ON_NS)
    sent_on |= late.followed(legs["flow"][onward], legs["at_ns"][onward], SENT_ON_NS)
    is_reset = late.followed(flow[resets], at_ns[resets], ANSWER_NS)
    by_director = late.of_flows(flow[resets & leaves] if facts.replies_bypass else flow[resets])
    shown = late.of_flows(flow[back | copies]) | late.of_flows(legs["flow"][onward])
    return _chosen(
        facts,
        late,
        (
            (sent_on, "sent-on"),
            (is_reset & by_director, "reset"),
            (is_reset, "server-reset"),
            (late.followed(flow[replies], at_ns[replies], ANSWER_NS), "reply"),
            (~shown, "unseen"),
        ),
    )


def answers_to_servers(facts: DirectorFacts, part: FlowPart, late: LateRows) -> Codes:
    """The captured answer to each case of real servers' packets."""
    legs = part.legs
    alone, flow, at_ns = ~part.sent_on, legs["flow"], legs["at_ns"]
    resets = alone & legs["to_server"] & (legs["flag"] == Flag.RST)
    passing = alone & ~legs["to_server"] & is_one_of(legs["source_mac"], facts.macs)
    return _chosen(
        facts,
        late,
        (
            (late.followed(flow[resets], at_ns[resets], ANSWER_NS), "reset-to-server"),
            (late.followed(flow[passing], at_ns[passing], SENT_ON_NS), "untranslated"),
        ),
    )


def _chosen(facts: DirectorFacts, late: LateRows, found: tuple[tuple[Bools, Answer], ...]) -> Codes:
    """The first answer that was found; silence, or what the capture could not have shown."""
    listened = facts.last_ns - late.at_ns[late.starts] >= NS_PER_S
    cases = (*found, (~listened & (late.packets == 1), "unseen"))
    codes = [np.int8(ANSWERS.index(answer)) for _, answer in cases]
    none = np.int8(ANSWERS.index("none"))
    return np.select([chosen for chosen, _ in cases], codes, default=none)


def moved(facts: DirectorFacts, part: FlowPart, flow: Ints, at_ns: Ints) -> Codes:
    """Whether flows were sent on to other real servers from instants on, 0 or 1, or ``NOT_KNOWN``.

    Args:
        facts: of the director.
        part: with these flows.
        flow: shape (n,).
        at_ns: likewise.
    """
    legs, segments = part.legs, part.segments
    sent_on, back = part.sent_on, ~segments.to_vip
    leg_flow = legs["flow"][sent_on]
    by_legs = _changed(leg_flow, legs["at_ns"][sent_on], legs["server"][sent_on], flow, at_ns)
    has_legs = np.isin(flow, leg_flow)
    if not facts.replies_bypass:
        return np.where(has_legs, by_legs, np.int8(NOT_KNOWN))
    senders = segments.source_mac[back]
    by_replies = _changed(segments.flow[back], segments.at_ns[back], senders, flow, at_ns)
    return np.where(has_legs, by_legs, by_replies)


def _changed(
    flow: Ints, at_ns: Ints, host: npt.NDArray[np.generic], of_flow: Ints, from_ns: Ints
) -> Codes:
    """Whether the first packet from an instant on is another host's than the one before."""
    if not len(flow):
        return np.full(len(of_flow), NOT_KNOWN, dtype=np.int8)
    before = latest_row(flow, at_ns, of_flow, from_ns - 1)
    after = np.minimum(before + 1, len(flow) - 1)
    known = (before >= 0) & (after > before) & (flow[after] == of_flow)
    return np.where(known, (host[after] != host[before]).astype(np.int8), np.int8(NOT_KNOWN))


def longest_pause_ns(part: FlowPart, flows: Ints) -> int:
    """The longest pause after which a packet of these flows was still answered; 0 if none was.

    Args:
        part: with the flows.
        flows: in any order, also several times.
    """
    segments = part.segments
    back = ~segments.to_vip & (segments.flag != Flag.RST)
    flow, at_ns = part.steps["flow"], part.steps["at_ns"]
    after = np.flatnonzero(np.isin(flow[1:], flows) & (flow[1:] == flow[:-1])) + 1
    pause_ns = at_ns[after] - at_ns[after - 1]
    answered = follow(
        segments.flow[back], segments.at_ns[back], flow[after], at_ns[after], ANSWER_NS
    )
    return int(pause_ns[answered].max(initial=0))
