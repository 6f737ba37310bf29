"""When a director did not take the packets sent to it: crashed, cut off, rebooting.

Events report it (a lab's faults), or polls that failed, or a VIP that it gave up, together with
unanswered SYNs. A director that was merely not polled goes on: somebody answers what is sent
to it, or its entries are there when it is polled again. At an outage's edges the packets decide:
what was answered or sent on was taken, and an unanswered SYN was not. The rest is not
known (``unsure``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import Flag
from analyzer.parts import by_stretches, over_stretches, rows_of_flows
from analyzer.predicted.outage_candidates import candidates, first_from, last_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.predicted.outage_candidates import Candidate
    from analyzer.recording.clock import DirectorClock
    from analyzer.wire.answers import Answers
    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

LEAST_UNANSWERED = 3
"""Fewer SYNs without an answer, among others that had one, may have been lost elsewhere."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which a director did not take packets; Unix ns.

    Attributes:
        from_ns, to_ns: what came between, both excluded, was not taken; ``to_ns`` the far future
            if it never came back.
        unsure: spans in which unanswered segments may have been taken or not.
        kernel_lost: it crashed or rebooted, and its entries were lost at ``from_ns``.
    """

    from_ns: int
    to_ns: int
    unsure: tuple[tuple[int, int], ...] = ()
    kernel_lost: bool = False


def outages(
    director: str,
    evidence: Evidence,
    clock: DirectorClock,
    passed: Bools,
    answered: Answers,
    tracked: Parted,
) -> tuple[Outage, ...]:
    """When a director did not take what was sent to it.

    Args:
        director: its name.
        evidence: the recording.
        clock: of that director.
        passed: which of the segments were sent to it, or by it.
        answered: what became of each of these.
        tracked: what was seen of its entries.
    """
    segments = evidence.segments
    if segments is None:
        return ()
    ordered, gaps = candidates(director, evidence, clock)
    if not ordered and not gaps:
        return ()
    passing = segments.only(passed)
    spans = [(each.began[0], each.ended[1]) for each in (*ordered, *gaps)]

    def is_taken(rows: slice) -> Bools:
        return answered.taken[rows] | (~passing.to_vip[rows] & ~answered.rejected[rows])

    taken_ns = _near(passing, is_taken, spans)
    silent_ns = _near(passing, lambda rows: answered.unanswered[rows], spans)
    elsewhere = _begun_elsewhere(segments, passed, passing)
    # not the sync daemon's copies of another's
    not_synced = tracked.only(lambda rows: ~rows["flow"].isin(elsewhere))
    outages = [_by_order(order, taken_ns, silent_ns) for order in ordered]
    for gap in gaps:
        outages += _by_packets(gap, passing, answered, not_synced, taken_ns)
        if gap.without_vip:
            outages.append(_after_the_last(gap, taken_ns))
    return tuple(sorted(outages, key=lambda outage: outage.from_ns))


def _near(
    passing: Segments, chosen: Callable[[slice], Bools], spans: Sequence[tuple[int, int]]
) -> Ints:
    """When some segments came: in spans of time, last before each and first after it; ascending."""
    found = [np.zeros(0, dtype=np.int64)]
    for rows in over_stretches(passing.store, len(passing.flow), lambda rows: rows):
        at_ns = passing.at_ns[rows][chosen(rows)]
        for since_ns, until_ns in spans:
            before, after = at_ns[at_ns < since_ns], at_ns[at_ns > until_ns]
            found += [before.max(keepdims=True)] if len(before) else []
            found += [after.min(keepdims=True)] if len(after) else []
            found.append(at_ns[(at_ns >= since_ns) & (at_ns <= until_ns)])
    return np.unique(np.concatenate(found))


def _begun_elsewhere(segments: Segments, passed: Bools, passing: Segments) -> Ints:
    """Flows that began with a SYN which another than this director's own side sent."""
    size, store = len(segments.flow), segments.store
    is_begun = by_stretches(
        store,
        size,
        lambda rows: ~passed[rows] & segments.to_vip[rows] & (segments.flag[rows] == Flag.SYN),
    )
    begun = segments.only(is_begun)
    macs = [np.unique(part.destination_mac) for part in passing.parts()]
    flows = [
        np.unique(part.flow[~np.isin(part.source_mac, np.concatenate(macs))])
        for part in begun.parts()
    ]
    return np.unique(np.concatenate(flows))


def not_taken(at_ns: Ints, outages: tuple[Outage, ...]) -> Bools:
    """Which instants lie in an outage."""
    inside = np.zeros(len(at_ns), dtype=bool)
    for outage in outages:
        inside |= (at_ns > outage.from_ns) & (at_ns < outage.to_ns)
    return inside


def unsure(passing: Segments, answered: Answers, outages: tuple[Outage, ...]) -> Bools:
    """Which segments a director may have taken or not."""
    spans = [span for outage in outages for span in outage.unsure]

    def is_unsure(rows: slice) -> Bools:
        at_ns = passing.at_ns[rows]
        inside = np.zeros(len(at_ns), dtype=bool)
        for from_ns, to_ns in spans:
            inside |= (at_ns > from_ns) & (at_ns < to_ns)
        known = answered.taken[rows] | answered.unanswered[rows] | answered.rejected[rows]
        return inside & passing.to_vip[rows] & ~known

    return by_stretches(passing.store, len(passing.flow), is_unsure)


def _by_order(order: Candidate, taken_ns: Ints, silent_ns: Ints) -> Outage:
    """The outage from the first packet that was not taken to the first that was taken again.

    The first is an unanswered one while the order was carried out, else none until that was
    done; the last is an answered one after the order to undo it. What was surely taken decides: a
    reply that follows a segment may have been on its way already.
    """
    last_ns = max(order.began[0], last_until(taken_ns, order.began[1], 0))
    from_ns = min(order.began[1], first_from(silent_ns, last_ns + 1, _NEVER) - 1)
    to_ns = max(from_ns, min(order.ended[1], first_from(taken_ns, order.ended[0], _NEVER)))
    return Outage(
        from_ns=from_ns,
        to_ns=to_ns,
        unsure=((last_ns, order.began[1]), (order.ended[0], to_ns)),
        kernel_lost=order.kernel_lost,
    )


def _after_the_last(gap: Candidate, taken_ns: Ints) -> Outage:
    """No outage by itself: after the last packet that was surely taken the VIP may have gone."""
    until_ns = gap.ended[1]
    last_ns = max(gap.began[0], last_until(taken_ns, until_ns, 0))
    return Outage(from_ns=until_ns, to_ns=until_ns, unsure=((last_ns, until_ns),))


def _by_packets(
    gap: Candidate,
    passing: Segments,
    answered: Answers,
    tracked: Parted,
    taken_ns: Ints,
) -> list[Outage]:
    """The times of a gap in the polls in which nothing sent to the director was answered."""
    since_ns, until_ns = gap.began[0], gap.ended[1]
    silent = _silent(passing, answered, since_ns, until_ns)[: None if len(taken_ns) else 0]
    silent = silent[np.argsort(passing.at_ns[silent], kind="stable")]
    number = np.searchsorted(taken_ns, passing.at_ns[silent])  # how many had been taken before
    is_alone = not ((taken_ns > since_ns) & (taken_ns < until_ns)).any()
    outages = []
    for each in np.unique(number):
        rows = silent[number == each]
        first_ns = int(passing.at_ns[rows[0]])
        before_ns = max(last_until(taken_ns, first_ns, 0), since_ns)
        to_ns = min(first_from(taken_ns, first_ns, _NEVER), until_ns)
        is_boot = gap.kernel_lost and before_ns < gap.began[1] and to_ns >= gap.began[1]
        enough = is_boot or is_alone or len(rows) >= LEAST_UNANSWERED
        if enough and not _has_entries(passing, rows, tracked, first_ns):
            span = ((before_ns, first_ns), (int(passing.at_ns[rows[-1]]), to_ns))
            silence = Outage(from_ns=first_ns - 1, to_ns=to_ns, unsure=span, kernel_lost=is_boot)
            outages.append(silence)
    if gap.kernel_lost and not any(outage.kernel_lost for outage in outages):
        booted_ns = gap.began[1]
        outages.append(Outage(from_ns=booted_ns, to_ns=booted_ns, kernel_lost=True))
    return outages


def _silent(passing: Segments, answered: Answers, since_ns: int, until_ns: int) -> Ints:
    """The rows of unanswered segments between two instants."""

    def rows_of(rows: slice) -> Ints:
        at_ns = passing.at_ns[rows]
        inside = (at_ns > since_ns) & (at_ns < until_ns)
        silent = np.flatnonzero(inside & answered.unanswered[rows])
        return np.asarray(rows.start + silent)

    return np.concatenate(list(over_stretches(passing.store, len(passing.flow), rows_of)))


def _has_entries(passing: Segments, rows: Ints, tracked: Parted, first_ns: int) -> bool:
    """Whether some of these flows, which sent nothing else, were seen to have entries after all."""
    flows = np.unique(passing.flow[rows])
    others = np.setdiff1d(rows_of_flows(passing.flow, flows), rows)
    others = others[(passing.flag[others] == Flag.SYN) & passing.to_vip[others]]
    flows = np.setdiff1d(flows, passing.flow[others])
    return any(
        bool((part["flow"].isin(flows) & (part["appeared_ns"] >= first_ns)).any())
        for part in tracked
    )
