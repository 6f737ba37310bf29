"""Tracked entries beside the ends of the requests' connections: without a capture.

Entries and ends are dealt out by a hash of the client's address and port, which brings an entry and
all ends that may be its own together; what was found is dealt out again by the entries' places. Few
of both are looked at as they are.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.observed.parted import Parted
from analyzer.parts import Dealt, Rows, by_stretches, cuts, filled, over_stretches, stretches
from analyzer.parts.columns import Numbering, alike, buckets_of
from analyzer.recording.connections import is_last_of_connection
from analyzer.recording.instants import latest_row
from analyzer.recording.requests import NEVER, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.arrays import Ints
    from analyzer.parts import Bucket, Buckets, Columns, Store
    from analyzer.recording.requests import RequestRows

REQUEST_END_UNCERTAINTY_S = 0.05
"""Seconds between the request's end and the last packet, as taken without a capture."""

_CLIENT = ("source_ip", "source_port")
_TARGET = ("vip", "port")
"""A source port may serve several targets at a time."""

_APPEARED, _LAST, _PLACE = "appeared_ns", "last_ns", "place"
_NO_NUMBER = -2
"""Of an address that no request has; nor is it ``UNKNOWN``."""

_NEAR_NS = 60_000_000_000
_FAR = np.iinfo(np.int64).max


def with_requests(tracked: Parted, entries: Parted, requests: RequestRows) -> Parted:
    """Each tracked entry beside the end of its connection, without a capture.

    A connection that carried several requests ended with the last of them. Of several connections
    of a client's port an entry belongs to the one that ended nearest to its appearance.

    Args:
        tracked: one director's.
        entries: its ``numbered`` changes, which know each flow's client; in the same parts.
        requests: the recording's; their store keeps what is made.

    Returns:
        ``tracked`` with ``last_ns`` (Int64); <NA> where no request of ours had that port.
    """
    wanted, edges = _wanted(tracked, entries, requests)
    last_ns = _last_ns(wanted, requests)
    if tracked.is_one:
        return Parted.of(_joined(tracked.whole(), last_ns))
    return Parted(partial(_parts, tracked, last_ns, edges), requests.store)


def _parts(tracked: Parted, last_ns: Ints, edges: Sequence[int]) -> Iterator[pd.DataFrame]:
    for part, (first, until) in zip(tracked.frames(), pairwise(edges), strict=True):
        yield _joined(part, last_ns[first:until])


def _joined(tracked: pd.DataFrame, last_ns: Ints) -> pd.DataFrame:
    return tracked.assign(last_ns=pd.arrays.IntegerArray(last_ns, last_ns == NEVER))


def _wanted(
    tracked: Parted, entries: Parted, requests: RequestRows
) -> tuple[Columns, tuple[int, ...]]:
    """When each entry appeared, its client and target as requests have them; the parts' edges."""
    numbers = {
        name: Numbering({text: number for number, text in enumerate(requests.texts[name])})
        for name in ("source_ip", "vip")
    }
    writer, edges = requests.store.columns(), [0]
    for part, changes in zip(tracked, entries, strict=True):
        flow, first = np.unique(changes["flow"].to_numpy(dtype=np.int64), return_index=True)
        row = first[np.searchsorted(flow, part["flow"].to_numpy(dtype=np.int64))]
        writer.append(
            {
                _APPEARED: part["appeared_ns"].to_numpy(dtype=np.int64),
                "source_ip": _numbers(changes["client_ip"].iloc[row], numbers["source_ip"]),
                "source_port": _ports(changes["client_port"].iloc[row]),
                "vip": _numbers(changes["vip"].iloc[row], numbers["vip"]),
                "port": _ports(changes["port"].iloc[row]),
            }
        )
        edges.append(edges[-1] + len(part))
    return writer.finish(), tuple(edges)


def _numbers(texts: pd.Series, numbers: Numbering) -> Ints:
    known = numbers.known_of(texts).astype(np.int64)
    return np.where(known < 0, _NO_NUMBER, known)


def _ports(ports: pd.Series) -> Ints:
    return ports.to_numpy(dtype=np.int64, na_value=_NO_NUMBER)


def _last_ns(wanted: Columns, requests: RequestRows) -> Ints:
    """The end that each entry belongs to; ``NEVER`` for none."""
    store, rows = requests.store, len(wanted[_APPEARED])
    if not rows:
        return np.zeros(0, dtype=np.int64)
    ends = filled(store, _ends, ((part,) for part in _large_parts(requests)))
    names = _CLIENT + (_TARGET if _know_targets(ends, store) else ())
    count = -(-max(rows, len(ends[_LAST])) // store.part_rows)
    if count <= 1:
        return nearest_ends(wanted, ends, names)
    of_wanted, of_ends = (
        store.deal(count, _by_client, _tasks(columns, names, count, store))
        for columns in (wanted, ends)
    )
    tasks = (
        (of_wanted.bucket(number), of_ends.bucket(number), names, store.part_rows)
        for number in range(count)
    )
    found = store.deal(-(-rows // store.part_rows), _by_place, tasks)
    return by_stretches(store, rows, partial(_in_place, found, store.part_rows))


def _large_parts(requests: RequestRows) -> Iterator[RequestRows]:
    for rows in cuts(requests.columns["id"], requests.store.part_rows) or [slice(0, 0)]:
        yield requests.part(rows)


def _ends(requests: RequestRows) -> Rows[None]:
    """The client, the target and the end of each connection that these requests were the last of.

    It was closed when we closed it or, if that is not recorded, the answer was complete.
    """
    columns = requests.columns
    ended_ns, closed_ns = columns["ended"], columns["closed"]
    is_end = (ended_ns != NEVER) & (columns["source_port"] != UNKNOWN)
    is_end &= is_last_of_connection(requests)
    made = {name: columns[name][is_end] for name in (*_CLIENT, *_TARGET)}
    made[_LAST] = np.where(closed_ns != NEVER, closed_ns, ended_ns)[is_end]
    return Rows(made, None)


def _know_targets(ends: Columns, store: Store) -> bool:
    """Whether the VIP and port of each connection's end are known."""
    vip, port = (ends[name] for name in _TARGET)
    return all(
        over_stretches(
            store,
            len(vip),
            lambda rows: bool(((vip[rows] != UNKNOWN) & (port[rows] != UNKNOWN)).all()),
        )
    )


def _tasks(
    columns: Columns, names: Sequence[str], count: int, store: Store
) -> Iterator[tuple[Columns, Sequence[str], int, int]]:
    """For ``_by_client``: some rows at a time, and the place of the first."""
    for rows in stretches(len(columns["source_ip"]), store.part_rows):
        some = {name: column[rows] for name, column in columns.items()}
        yield some, names, count, rows.start


def _by_client(columns: Columns, names: Sequence[str], count: int, first: int) -> Dealt:
    """Rows, with their places, by a hash of some columns; without those of unknown clients."""
    known = columns["source_ip"] >= 0
    made = {name: column[known] for name, column in columns.items()}
    made[_PLACE] = first + np.flatnonzero(known)
    return Dealt(buckets_of([made[name] for name in names], count), made)


def _by_place(wanted: Bucket, ends: Bucket, names: Sequence[str], part_rows: int) -> Dealt:
    """The ends that entries of a bucket belong to, by the entries' places."""
    entries, known = wanted.read(), ends.read()
    if not entries or not known:
        nothing = np.zeros(0, dtype=np.int64)
        return Dealt(nothing, {_PLACE: nothing, _LAST: nothing})
    last_ns = nearest_ends(entries, known, names)
    found = last_ns != NEVER
    place = entries[_PLACE][found]
    return Dealt(place // part_rows, {_PLACE: place, _LAST: last_ns[found]})


def _in_place(found: Buckets, part_rows: int, rows: slice) -> Ints:
    """The ends of the entries of a stretch, ``NEVER`` for none."""
    last_ns = np.full(rows.stop - rows.start, NEVER)
    columns = found.bucket(rows.start // part_rows).read()
    if columns:
        last_ns[columns[_PLACE] - rows.start] = columns[_LAST]
    return last_ns


def nearest_ends(wanted: Columns, ends: Columns, names: Sequence[str]) -> Ints:
    """Of each entry the end nearest to its appearance, of two as near the earlier.

    Args:
        wanted: ``appeared_ns`` of each entry, and columns of its connection; shape (n,).
        ends: ``last_ns`` of each connection, and the same columns.
        names: the columns in which an entry and its connection are alike.

    Returns:
        Unix nanoseconds, ``NEVER`` where none lies within a minute; shape (n,).
    """
    size, appeared_ns = len(ends[_LAST]), wanted[_APPEARED]
    if not size:
        return np.full(len(appeared_ns), NEVER)
    codes = alike([np.concatenate([ends[name], wanted[name]]) for name in names])
    order = np.lexsort((ends[_LAST], codes[:size]))
    code, last_ns, of_entry = codes[order], ends[_LAST][order], codes[size:]
    before = latest_row(code, last_ns, of_entry, appeared_ns)
    after = np.where(before < 0, np.searchsorted(code, of_entry), before + 1)
    after = np.where((after < size) & (code[np.minimum(after, size - 1)] == of_entry), after, -1)
    since_ns = np.where(before < 0, _FAR, appeared_ns - last_ns[before])
    until_ns = np.where(after < 0, _FAR, last_ns[after] - appeared_ns)
    nearest = np.where(since_ns <= until_ns, before, after)
    return np.where(np.minimum(since_ns, until_ns) <= _NEAR_NS, last_ns[nearest], NEVER)
