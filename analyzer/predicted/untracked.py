"""Segments that conntrack made no entry of the service for, though by its table they would.

Either the director itself opened the connection, from the service's own address and port: then the
entry is of the other direction and is not translated. Or no entry could be made: the kernel counted
the packet as ``insert_failed`` and dropped it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.states import Kind, kind_of
from analyzer.observed.entries import ns, since_ns
from analyzer.parts import by_stretches, same_flows, taken
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.observed.record import DirectorRecord
    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

INSERT_FAILED = "insert-failed"
"""The kind of the event that the kernel's counter has risen."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Untracked:
    """Which segments of a director's passage these are; each of shape (segments,).

    Attributes:
        opened_here: of connections that the director opened from the service's own port.
        refused: SYNs that it dropped because no entry could be made for them.
    """

    opened_here: Bools
    refused: Bools


def untracked(segments: Segments, record: DirectorRecord) -> Untracked:
    """What of these segments made no entry.

    Args:
        segments: that passed a netfilter director, with the rest of their TCP headers.
        record: of the director.
    """
    refused = _refused(segments, record)
    return Untracked(
        opened_here=segments.where(_opened_here),
        refused=by_stretches(segments.store, len(segments.flow), partial(_among, refused)),
    )


def _syns(part: Segments) -> Bools:
    assert part.tcp is not None
    return np.asarray(kind_of(part.tcp.flags) == Kind.SYN)


def _opened_here(part: Segments) -> Bools:
    """Segments whose flow's latest SYN came from the service's end; of whole flows."""
    syns = _syns(part)
    rows = np.arange(len(syns))
    latest = np.maximum.accumulate(np.where(syns, rows, -1)) if len(rows) else rows
    known = (latest >= 0) & (part.flow[latest] == part.flow)
    return np.asarray(known & ~part.to_vip[latest])


def _among(places: Ints, rows: slice) -> Bools:
    """Which of some rows have these places, ascending."""
    found = np.zeros(rows.stop - rows.start, dtype=bool)
    first, until = np.searchsorted(places, [rows.start, rows.stop]).tolist()
    found[places[first:until] - rows.start] = True
    return found


def _refused(segments: Segments, record: DirectorRecord) -> Ints:
    """The rows of SYNs without answer and entry, at a time when entries could not be made."""
    rises = rises_of(record.events)
    if not len(rises):
        return np.zeros(0, dtype=np.int64)

    def may_be(part: Segments) -> Bools:
        return _syns(part) & part.to_vip & ~_answered(part) & _during(rises, part.at_ns)

    rows = segments.rows(may_be)
    flow, at_ns = (taken(segments.store, each, rows) for each in (segments.flow, segments.at_ns))
    margin_ns = round(record.clock.margin_s * NS_PER_S)
    return rows[_unseen(flow, at_ns + margin_ns, record)]


def _during(rises: Ints, at_ns: Ints) -> Bools:
    """Whether each instant lies in one of these spans."""
    following = np.searchsorted(rises[:, 1], at_ns)
    begins_ns = np.r_[rises[:, 0], _NEVER][following]
    return np.asarray(begins_ns <= at_ns)


def rises_of(events: pd.DataFrame) -> Ints:
    """When ``insert_failed`` rose: not before, and by when, in order; Unix ns, shape (n, 2)."""
    rows = events[events["kind"] == INSERT_FAILED].sort_values("at")
    return np.stack([since_ns(rows), ns(rows["at"])], axis=1)


def _answered(part: Segments) -> Bools:
    """Whether the next segment of each one's flow is a reply; of whole flows."""
    answered = np.zeros(len(part.flow), dtype=bool)
    answered[:-1] = (part.flow[1:] == part.flow[:-1]) & ~part.to_vip[1:]
    return answered


def _unseen(flow: Ints, since_ns: Ints, record: DirectorRecord) -> Bools:
    """Whether the first poll since each instant had no entry of its flow; False without a poll.

    Args:
        flow: ascending; shape (n,).
        since_ns: shape (n,).
        record: of the director.
    """
    polls_ns = np.r_[np.sort(record.entry_polls.at_ns), _NEVER]
    poll_ns = polls_ns[np.searchsorted(polls_ns, since_ns)]
    seen = np.zeros(len(flow), dtype=bool)
    for entries in record.tracked if len(flow) else ():
        rows = same_flows(entries["flow"].to_numpy(dtype=np.int64), flow)
        seen[rows] |= _seen(flow[rows], poll_ns[rows], entries)
    return np.asarray((poll_ns != _NEVER) & ~seen)


def _seen(flow: Ints, poll_ns: Ints, entries: pd.DataFrame) -> Bools:
    """Whether each poll had an entry of the flow."""
    asked = pd.DataFrame({"flow": flow, "poll_ns": poll_ns, "place": np.arange(len(flow))})
    both = asked.merge(entries[["flow", "appeared_ns", "absent_ns"]], on="flow")
    there = both["appeared_ns"] <= both["poll_ns"]
    there &= both["absent_ns"].fillna(_NEVER).astype("int64") > both["poll_ns"]
    return np.isin(asked["place"], both.loc[there, "place"])
