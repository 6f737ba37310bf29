"""The join of a director's tracked entries with the packets behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.compared.beside import beside
from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import latest_row
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.observed.parted import Parted
    from analyzer.predicted.entries import Prediction
    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]

_JOINED = {
    "state": "float64",
    "last_ns": "Int64",
    "ends_ns": "Int64",
    "cause": "str",
    "timeout_name": "string",
}
"""Types in which a value may be missing."""

_NEVER = np.iinfo(np.int64).max


def with_packets(
    tracked: Parted,
    prediction: Prediction,
    margin_s: float = REACTION_S,
    segments: Segments | None = None,
) -> Parted:
    """Each tracked entry of one director beside the predicted entry that it ended as.

    Tracked and predicted entries of a flow follow each other in the same order. One ended as the
    latest entry that had begun when it was last seen. Where an entry began so near that instant
    that the clocks cannot say which came first (a port used again just when the director was
    polled), it ended as the one whose predicted end lies nearest.

    Args:
        tracked: as ``observed.entries.tracked_by`` gives them, one director's.
        prediction: for the same director.
        margin_s: how well the instants of polls and packets can be compared.
        segments: that passed it, where the first of each flow is asked for.

    Returns:
        ``tracked`` with ``last_ns`` (the last packet), ``predicted_state``, ``timeout_s``,
        ``ends_ns``, ``cause`` and ``entry``; with segments ``first_packet_ns``, of the flow; <NA>
        where no packet was captured.
    """
    entries, margin_ns = prediction.entries, round(margin_s * NS_PER_S)
    pairs = beside(tracked, entries["flow"].to_numpy(), prediction.store)
    joined = (_with_packets(frame, entries.iloc[rows], margin_ns) for frame, rows in pairs)
    if segments is not None:
        joined = (_with_first_packet(frame, segments) for frame in joined)
    return tracked.again(joined)


def _with_packets(tracked: pd.DataFrame, entries: pd.DataFrame, margin_ns: int) -> pd.DataFrame:
    """Some tracked entries beside the predicted entries of their flows."""
    place = _entry_of(tracked, entries, margin_ns)
    known = np.unique(place[place != NO_ENTRY])
    numbers = entries.index.to_numpy(dtype=np.int64)
    entry = np.full(len(place), NO_ENTRY)
    entry[place != NO_ENTRY] = numbers[place[place != NO_ENTRY]]
    right = entries.drop(columns=["flow", "first_ns"]).iloc[known]
    kinds = {name: kind for name, kind in _JOINED.items() if name in right}
    found = right.astype(kinds).reindex(entry).set_index(tracked.index)
    found = found.rename(columns={"state": "predicted_state"})
    numbered = pd.arrays.IntegerArray(entry, entry == NO_ENTRY)
    return pd.concat([tracked.assign(entry=numbered), found], axis=1)


def _entry_of(tracked: pd.DataFrame, entries: pd.DataFrame, margin_ns: int) -> Ints:
    """The place of the predicted entry that each one ended as; NO_ENTRY for none."""
    seen_ns = tracked["seen_ns"].to_numpy(dtype=np.int64, na_value=_NEVER)
    flow, began_ns = (entries[name].to_numpy(dtype=np.int64) for name in ("flow", "first_ns"))
    flow_of_row = tracked["flow"].to_numpy(dtype=np.int64)
    surely = latest_row(flow, began_ns, flow_of_row, np.maximum(seen_ns, margin_ns) - margin_ns)
    latest_ns = np.minimum(seen_ns, _NEVER - margin_ns) + margin_ns
    perhaps = latest_row(flow, began_ns, flow_of_row, latest_ns)
    chosen = surely.copy()
    unclear = np.flatnonzero(surely != perhaps)
    if len(unclear):
        rows = tracked.iloc[unclear]
        chosen[unclear] = _by_its_end(rows, surely[unclear], perhaps[unclear], entries, margin_ns)
    return chosen


def _by_its_end(
    tracked: pd.DataFrame, first: Ints, last: Ints, entries: pd.DataFrame, margin_ns: int
) -> Ints:
    """The entry from ``first`` to ``last`` that ends nearest to the observed end.

    ``first`` may be NO_ENTRY: it may be an earlier entry, of whose packets none was captured.
    """
    seen_ns = tracked["seen_ns"].to_numpy(dtype=np.int64) - margin_ns
    absent_ns = tracked["absent_by_ns"].to_numpy(dtype=np.int64) + margin_ns
    began_ns, ends_ns = (entries[name].to_numpy(dtype=np.int64) for name in ("first_ns", "ends_ns"))
    nearest_ns = np.full(len(tracked), _NEVER)
    flow = entries["flow"].to_numpy()
    oldest = np.searchsorted(flow, tracked["flow"].to_numpy())
    was_there = tracked["appeared_ns"].to_numpy() < began_ns[oldest] - margin_ns
    nearest_ns[(first == NO_ENTRY) & was_there] = margin_ns
    chosen, candidate = first.copy(), np.maximum(first, oldest)
    while (candidate <= last).any():
        here = np.minimum(candidate, last)
        off_ns = np.maximum(np.maximum(seen_ns - ends_ns[here], ends_ns[here] - absent_ns), 0)
        nearer = (candidate <= last) & (off_ns <= nearest_ns)
        chosen, nearest_ns = np.where(nearer, here, chosen), np.where(nearer, off_ns, nearest_ns)
        candidate = candidate + 1
    return chosen


def _with_first_packet(tracked: pd.DataFrame, segments: Segments) -> pd.DataFrame:
    """``first_packet_ns`` of each entry's flow that passed this director; <NA> if none did."""
    flow = tracked["flow"].to_numpy(dtype=np.int64)
    if not len(flow) or not len(segments.flow):
        return tracked.assign(first_packet_ns=pd.array([pd.NA] * len(flow), dtype="Int64"))
    row = np.minimum(np.searchsorted(segments.flow, flow), len(segments.flow) - 1)
    first_ns = pd.arrays.IntegerArray(segments.at_ns[row], segments.flow[row] != flow)
    return tracked.assign(first_packet_ns=first_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenServers:
    """The real servers of tracked entries, by the predicted entry and by flow and time.

    Attributes:
        by_entry: of the entries that were seen; index: their numbers.
        flow, appeared_ns, seen_ns, servers: of each tracked entry, by flow, then appearance.
    """

    by_entry: pd.Series
    flow: Ints
    appeared_ns: Ints
    seen_ns: Ints
    servers: pd.Series

    @classmethod
    def of(cls, joined: pd.DataFrame) -> SeenServers:
        """Those of tracked entries as ``with_packets`` gives them."""
        by_entry = joined.dropna(subset=["entry"]).drop_duplicates("entry").set_index("entry")
        flow, appeared_ns, seen_ns = (
            joined[name].to_numpy(dtype=np.int64, na_value=_NEVER)
            for name in ("flow", "appeared_ns", "seen_ns")
        )
        order = np.lexsort((appeared_ns, flow))
        return cls(
            by_entry=by_entry["real_server"],
            flow=flow[order],
            appeared_ns=appeared_ns[order],
            seen_ns=seen_ns[order],
            servers=joined["real_server"].iloc[order],
        )

    def of_entries(self, entries: pd.DataFrame) -> pd.Series:
        """The real server of each of some predicted entries that was seen; <NA> of the others.

        An entry that a SYN ended and whose successor went to the same real server looks like one
        that continues: both belong to one tracked entry.
        """
        servers = self.by_entry.reindex(entries.index).astype("string")
        if not len(self.flow):
            return servers
        unseen = np.flatnonzero(servers.isna())
        flow_of_row, first_ns, ends_ns = (
            entries[name].to_numpy(dtype=np.int64)[unseen]
            for name in ("flow", "first_ns", "ends_ns")
        )
        latest = latest_row(self.flow, self.appeared_ns, flow_of_row, ends_ns)
        covers = latest >= 0
        covers[covers] = self.seen_ns[latest[covers]] >= first_ns[covers]
        servers.iloc[unseen[covers]] = self.servers.iloc[latest[covers]].array
        return servers


def seen_entries(joined: Parted, prediction: Prediction) -> int:
    """How many of the predicted entries were seen."""
    pairs = beside(joined, prediction.entries["flow"].to_numpy(), prediction.store)
    parts = ((SeenServers.of(rows), prediction.entries.iloc[place]) for rows, place in pairs)
    return sum(int(seen.of_entries(entries).notna().sum()) for seen, entries in parts)


def foreign_entries(joined: Parted) -> int:
    """How many entries are of no packet or request of this run."""
    return sum(int(part["last_ns"].isna().sum()) for part in joined)


def without_last_packet(tracked: pd.DataFrame) -> pd.DataFrame:
    """Tracked entries of whose packets nothing is known."""
    return tracked.assign(last_ns=pd.array([pd.NA] * len(tracked), dtype="Int64"))
