"""The join of a director's tracked entries with the packets behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import latest_row
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.predicted.entries import Prediction
    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]

_TEXTS = ("cause", "timeout_name")
_NEVER = np.iinfo(np.int64).max


def with_packets(
    tracked: pd.DataFrame, prediction: Prediction, margin_s: float = REACTION_S
) -> pd.DataFrame:
    """Each tracked entry of one director beside the predicted entry that it ended as.

    Tracked and predicted entries of a flow follow each other in the same order. One ended as the
    latest entry that had begun when it was last seen. Where an entry began so near that instant
    that the clocks cannot say which came first (a port used again just when the director was
    polled), it ended as the one whose predicted end lies nearest.

    Args:
        tracked: as ``observed.entries.tracked_entries`` gives them, one director's.
        prediction: for the same director.
        margin_s: how well the instants of polls and packets can be compared.

    Returns:
        ``tracked``, in the order of when they were last seen, with ``last_ns`` (the last packet),
        ``predicted_state``, ``timeout_s``, ``ends_ns``, ``cause`` and ``entry``; <NA> where no
        packet was captured.
    """
    last_seen_ns = tracked["seen_ns"].to_numpy(dtype=np.int64, na_value=_NEVER)
    left = tracked.iloc[np.argsort(last_seen_ns, kind="stable")].reset_index(drop=True)
    entry = _entry_of(left, prediction.entries, round(margin_s * NS_PER_S))
    known = np.unique(entry.dropna().to_numpy(dtype=np.int64))
    right = prediction.entries.drop(columns=["flow", "first_ns"]).iloc[known]
    texts = {name: "str" if name == "cause" else "string" for name in _TEXTS if name in right}
    right = right.astype(texts).rename(columns={"state": "predicted_state"})
    right = right.astype({"last_ns": "Int64", "ends_ns": "Int64"})
    found = right.reindex(entry.fillna(NO_ENTRY)).set_index(left.index)
    return pd.concat([left.assign(entry=entry), found], axis=1)


def _entry_of(tracked: pd.DataFrame, entries: pd.DataFrame, margin_ns: int) -> pd.Series:
    """The number of the predicted entry that each one ended as; <NA> for none."""
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
    return pd.Series(pd.arrays.IntegerArray(chosen, chosen == NO_ENTRY), index=tracked.index)


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


def with_first_packet(tracked: pd.DataFrame, segments: Segments) -> pd.DataFrame:
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


def seen_entries(joined: pd.DataFrame, prediction: Prediction) -> int:
    """How many of the predicted entries were seen."""
    seen = SeenServers.of(joined)
    return sum(int(seen.of_entries(part).notna().sum()) for part in prediction.entry_parts())
