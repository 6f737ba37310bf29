"""Segments that conntrack made no entry of the service for, though by its table they would.

Either the director itself opened the connection, from the service's own address and port: then the
entry is of the other direction and is not translated. Or no entry could be made: the kernel counted
the packet as ``insert_failed`` and dropped it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.states import Kind, kind_of
from analyzer.observed.entries import ns, since_ns
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
    assert segments.tcp is not None
    syns = np.asarray(kind_of(segments.tcp.flags) == Kind.SYN)
    return Untracked(
        opened_here=_opened_here(segments, syns), refused=_refused(segments, syns, record)
    )


def _opened_here(segments: Segments, syns: Bools) -> Bools:
    """Segments whose flow's latest SYN came from the service's end."""
    rows = np.arange(len(syns))
    latest = np.maximum.accumulate(np.where(syns, rows, -1)) if len(rows) else rows
    known = (latest >= 0) & (segments.flow[latest] == segments.flow)
    return np.asarray(known & ~segments.to_vip[latest])


def _refused(segments: Segments, syns: Bools, record: DirectorRecord) -> Bools:
    """SYNs without answer and entry, at a time when entries could not be made."""
    refused = np.zeros(len(syns), dtype=bool)
    rises = rises_of(record.events)
    if not len(rises):
        return refused
    rows = np.flatnonzero(syns & segments.to_vip & ~_answered(segments))
    at_ns = segments.at_ns[rows]
    next_rise = np.searchsorted(rises[:, 1], at_ns)
    known = next_rise < len(rises)
    known[known] = rises[next_rise[known], 0] <= at_ns[known]
    rows = rows[known]
    margin_ns = round(record.clock.margin_s * NS_PER_S)
    refused[rows[_unseen(segments.flow[rows], segments.at_ns[rows] + margin_ns, record)]] = True
    return refused


def rises_of(events: pd.DataFrame) -> Ints:
    """When ``insert_failed`` rose: not before, and by when, in order; Unix ns, shape (n, 2)."""
    rows = events[events["kind"] == INSERT_FAILED].sort_values("at")
    return np.stack([since_ns(rows), ns(rows["at"])], axis=1)


def _answered(segments: Segments) -> Bools:
    """Whether the next segment of each one's flow is a reply."""
    answered = np.zeros(len(segments.flow), dtype=bool)
    answered[:-1] = (segments.flow[1:] == segments.flow[:-1]) & ~segments.to_vip[1:]
    return answered


def _unseen(flow: Ints, since_ns: Ints, record: DirectorRecord) -> Bools:
    """Whether the first poll since each instant had no entry of its flow; False without a poll."""
    polls_ns = np.r_[np.sort(record.entry_polls.at_ns), _NEVER]
    poll_ns = polls_ns[np.searchsorted(polls_ns, since_ns)]
    asked = pd.DataFrame({"flow": flow, "poll_ns": poll_ns, "place": np.arange(len(flow))})
    asked_flows = np.unique(flow)
    entries = record.tracked.where(lambda rows: rows["flow"].isin(asked_flows))
    entries = entries[["flow", "appeared_ns", "absent_ns"]]
    both = asked.merge(entries, on="flow")
    there = both["appeared_ns"] <= both["poll_ns"]
    there &= both["absent_ns"].fillna(_NEVER).astype("int64") > both["poll_ns"]
    seen = np.isin(asked["place"], both.loc[there, "place"])
    return np.asarray((poll_ns != _NEVER) & ~seen)
