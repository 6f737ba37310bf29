"""Entries of a director as its polls saw them, from the recorded changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.parts import PART_ROWS, are_among, stretches
from analyzer.parts.columns import alike
from analyzer.recording.polls import EntryPolls, polls_in_order

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy.typing as npt

    from analyzer.observed.parted import Parted

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

TRACKED_COLUMNS = {
    "director": "string",
    "flow": "int64",
    "protocol": "string",
    "real_server": "string",
    "state": "string",
    "appeared_ns": "int64",
    "before_ns": "Int64",
    "changed_ns": "int64",
    "changed_by_ns": "int64",
    "expires_s": "int64",
    "seen_ns": "Int64",
    "seen_by_ns": "Int64",
    "left_s": "Int64",
    "absent_ns": "Int64",
    "absent_by_ns": "Int64",
}
_NEVER = np.iinfo(np.int64).max
_READ_WITHIN_NS = 12_000_000_000


def ns(column: pd.Series) -> Ints:
    """A timestamp column as Unix nanoseconds."""
    return column.to_numpy(dtype="datetime64[ns]", copy=True).view(np.int64)


def since_ns(events: pd.DataFrame) -> Ints:
    """Since when what each event noticed may hold, Unix ns; the longest where it does not say.

    Settings and the kernel's counters are read every 10 s.
    """
    return np.where(events["since"].isna(), ns(events["at"]) - _READ_WITHIN_NS, ns(events["since"]))


def span_ms(requests: pd.DataFrame, begin: str, end: str) -> Floats:
    """Milliseconds between two instants of each request, NaN where either is not reached."""
    span = requests[end].array - requests[begin].array
    return np.asarray(span.total_seconds() * 1e3, dtype=np.float64)


def numbered(entries: pd.DataFrame, flows: pd.DataFrame | None) -> pd.DataFrame:
    """The entries' changes with the number of the flow that each belongs to.

    Args:
        entries: the recording's table; without persistence templates (no client port).
        flows: ``Segments.flows``; None without a capture.

    Returns:
        The rows in order of director, flow and time, with ``flow`` (numbers from ``len(flows)``
        on are flows that were not captured), ``at_ns``, ``server``.
    """
    with_port = entries["client_port"] != 0
    rows = entries.copy(deep=False) if with_port.all() else entries[with_port].copy()
    rows["flow"] = _flows_of(rows, flows)
    rows["at_ns"] = ns(rows["at"])
    rows["server"] = servers_of(rows)
    director, _ = rows["director"].factorize(sort=True)
    order = np.lexsort((rows["at_ns"], rows["flow"], director))
    return rows.take(order).reset_index(drop=True)


def _flows_of(rows: pd.DataFrame, flows: pd.DataFrame | None) -> Ints:
    """The number of the flow that each row belongs to."""
    columns = list(CONNECTION_KEY)
    flows = rows.iloc[:0][columns] if flows is None else flows
    parts = [rows.iloc[:0][columns]]
    for part in stretches(len(flows), PART_ROWS) if len(rows) else ():
        near = flows.iloc[part]
        near = near[near["client_port"].isin(rows["client_port"])]
        parts.append(near[near["client_ip"].isin(rows["client_ip"])][columns])
    kinds = rows[columns].dtypes.to_dict()
    near = pd.concat([part.astype(kinds) for part in parts])
    codes = alike([pd.concat([near[name], rows[name]]) for name in columns])[len(near) :]
    of_near = np.r_[near.index.to_numpy(dtype=np.int64), np.zeros(len(rows), dtype=np.int64)]
    return np.where(codes < len(near), of_near[codes], codes - len(near) + len(flows))


def servers_of(rows: pd.DataFrame) -> pd.Series:
    """The real server of each row, ``address:port``."""
    return rows["real_server"] + ":" + rows["real_port"].astype("string")


def tracked_by(entries: pd.DataFrame, entry_polls: Mapping[str, EntryPolls]) -> pd.DataFrame:
    """Each entry as the polls saw it, a row from its first appearance to its end.

    Args:
        entries: ``numbered`` changes.
        entry_polls: the directors' polls of entries, by name.

    Returns:
        DataFrame with ``TRACKED_COLUMNS``: ``state`` the last one seen, ``changed_ns`` the poll
        that first saw it and ``expires_s`` what it then had left; ``before_ns`` the last poll
        before, which would have shown it (<NA> if none); ``seen_ns`` the last poll that had the
        entry, ``left_s`` what it then had left, and ``absent_ns`` the first that did not have it,
        all <NA> while it is there. ``changed_by_ns``, ``seen_by_ns`` and ``absent_by_ns``: when
        these polls were answered; a poll's instant is taken before the table is read, so the entry
        may have expired as late as the answer.
    """
    if entries.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TRACKED_COLUMNS.items()})
    change, at_ns = entries["change"], entries["at_ns"].to_numpy(dtype=np.int64)
    appeared = (change == "appeared").to_numpy(dtype=bool)
    number = (appeared | _begins_flow(entries)).cumsum()
    is_gone = (change == "gone").to_numpy(dtype=bool)
    held, absent_rows = np.flatnonzero(~is_gone), np.flatnonzero(is_gone)
    first = held[np.diff(number[held], prepend=-1) != 0]
    last = held[np.diff(number[held], append=-1) != 0]
    absent_rows = absent_rows[np.diff(number[absent_rows], prepend=-1) != 0]
    end = np.searchsorted(number[absent_rows], number[first])
    ended = np.isin(number[first], number[absent_rows])
    absent_rows = absent_rows[end[ended]]
    left_s, absent_ns = (np.zeros(len(first), dtype=np.int64) for _ in range(2))
    left_s[ended] = entries["expires_s"].iloc[absent_rows].to_numpy(dtype=np.int64)
    absent_ns[ended] = at_ns[absent_rows]
    tracked = entries[["director", "flow", "protocol"]].iloc[first].reset_index(drop=True)
    described: pd.DataFrame = tracked.assign(
        real_server=entries["server"].iloc[first].array,
        state=entries["state"].iloc[last].array,
        appeared_ns=at_ns[first],
        changed_ns=at_ns[last],
        expires_s=entries["expires_s"].iloc[last].array,
        left_s=_known(left_s, ended),
        absent_ns=_known(absent_ns, ended),
        **_about(tracked["director"], at_ns[last], absent_ns, ended, entry_polls),
    )
    return described[list(TRACKED_COLUMNS)].astype(TRACKED_COLUMNS)


def _begins_flow(entries: pd.DataFrame) -> Bools:
    """Which changes are the first of a director's flow: what came before may be lost."""
    director, _ = pd.factorize(entries["director"])
    flow = entries["flow"].to_numpy(dtype=np.int64)
    first = np.ones(len(flow), dtype=bool)
    first[1:] = (flow[1:] != flow[:-1]) | (director[1:] != director[:-1])
    return first


def _known(values: Ints, known: Bools) -> pd.arrays.IntegerArray:
    """Int64 values; <NA> where not known."""
    return pd.arrays.IntegerArray(values, ~known)


def _about(
    director: pd.Series,
    changed_ns: Ints,
    absent_ns: Ints,
    ended: Bools,
    entry_polls: Mapping[str, EntryPolls],
) -> dict[str, Any]:
    """The polls about each entry's last change and its end, and when each was answered.

    A poll that is not among ``entry_polls``, or has no time of asking, was answered at its own
    instant.
    """
    before_ns, seen_ns, seen_by_ns = (np.zeros(len(ended), dtype=np.int64) for _ in range(3))
    has_before, is_seen = (np.zeros(len(ended), dtype=bool) for _ in range(2))
    changed_by_ns, absent_by_ns = changed_ns.copy(), absent_ns.copy()
    for name, polled in entry_polls.items():
        rows = np.flatnonzero(director == name)
        changed_by_ns[rows] = polled.answered(changed_ns[rows])
        here = polled.before(changed_ns[rows])
        has_before[rows] = here >= 0
        before_ns[rows[here >= 0]] = polled.at_ns[here[here >= 0]]
        rows = rows[ended[rows]]
        absent_by_ns[rows] = polled.answered(absent_ns[rows])
        last = np.searchsorted(polled.at_ns, absent_ns[rows]) - 1
        rows, last = rows[last >= 0], last[last >= 0]
        is_seen[rows] = True
        seen_ns[rows], seen_by_ns[rows] = polled.at_ns[last], polled.by_ns[last]
    return {
        "before_ns": _known(before_ns, has_before),
        "changed_by_ns": changed_by_ns,
        "seen_ns": _known(seen_ns, is_seen),
        "seen_by_ns": _known(seen_by_ns, is_seen),
        "absent_by_ns": _known(absent_by_ns, ended),
    }


def entry_polls_of(polls: pd.DataFrame, director: str) -> EntryPolls:
    """A director's polls of entries."""
    chosen = polls[(polls["director"] == director) & (polls["what"] == "entries")]
    return polls_in_order(
        ns(chosen["at"]),
        ns(chosen["asked"].fillna(chosen["at"])),
        chosen["took_ms"].to_numpy(dtype=np.float64),
        chosen["entries"].fillna(0).to_numpy(dtype=np.int64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The states of a director's entries at its polls of entries, each given once while it lasts.

    Attributes:
        polled_ns: when its entries were polled, ascending.
        answered_ns: when each of these polls had its answer; None where that is not known.
        held: ``flow, state, first, until``, by flow: the state at the polls from ``first`` up to,
            not including, ``until`` (indices into ``polled_ns``); no two rows of a flow overlap.
    """

    polled_ns: Ints
    held: Parted
    answered_ns: Ints | None = None

    def without(self, flows: Ints) -> Sampled:
        """The samples without some flows, ascending."""
        if not len(flows):
            return self
        return replace(
            self, held=self.held.only(lambda rows: ~are_among(rows["flow"].to_numpy(), flows))
        )


def state_samples(entries: Parted, entry_polls: EntryPolls) -> Sampled:
    """The state of every entry of a director at every poll of entries.

    Changes only are stored; an entry has its last state at each poll until the next change.

    Args:
        entries: its ``numbered`` changes.
        entry_polls: its polls of entries.
    """
    held = entries.each(partial(_held, polled_ns=entry_polls.at_ns))
    return Sampled(polled_ns=entry_polls.at_ns, held=held, answered_ns=entry_polls.by_ns)


def _held(rows: pd.DataFrame, polled_ns: Ints) -> pd.DataFrame:
    """The states of some flows' entries, and the polls that they lasted for."""
    flow, at_ns = rows["flow"].to_numpy(), rows["at_ns"].to_numpy()
    until_ns = np.full(len(rows), _NEVER)
    until_ns[:-1] = np.where(flow[1:] == flow[:-1], at_ns[1:], _NEVER)
    first, until = (np.searchsorted(polled_ns, instants) for instants in (at_ns, until_ns))
    seen = (rows["change"] != "gone").to_numpy(dtype=bool) & (first < until)
    states = rows["state"][seen].reset_index(drop=True)
    held = {"flow": flow[seen], "state": states, "first": first[seen], "until": until[seen]}
    return pd.DataFrame(held)
