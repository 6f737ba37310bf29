"""Source ports behind the addresses that netfilter directors hide clients behind.

Of a long recording they are dealt out twice: by a hash of the connection, which brings each beside
the end of its entry and its captured flow; then by a hash of the real server, the source address
and a port, which brings those that could not keep their port beside those that had it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.dealing import (
    FLOW,
    at_once,
    connections_dealt,
    dealt_by,
    flows_dealt,
    read,
)
from analyzer.observed.entries import ns, servers_of
from analyzer.observed.parted import ROWS, Coded, Kept, Parted
from analyzer.parts import IN_MEMORY, stretches
from analyzer.parts.columns import alike
from analyzer.parts.sorting import in_time
from analyzer.recording.instants import latest_row
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Buckets, Columns, Dealt, Store

NO_FLOW = -1
_NOBODY = -1
_NEVER = np.iinfo(np.int64).max
_HIDDEN_BY = ("protocol", "source_ip", "server")
PORT_IN_USE = (*_HIDDEN_BY, "source_port")
"""What no two connections have at a time."""

_NAMED = {
    **dict.fromkeys(("protocol", "client_ip", "vip", "server", "source_ip"), "string"),
    **dict.fromkeys(("client_port", "port", "source_port"), "int64"),
}
_COLUMNS = {
    **{name: _NAMED[name] for name in (*CONNECTION_KEY, "server", "source_ip", "source_port")},
    **dict.fromkeys(("at_ns", "gone_ns", FLOW, "row", "holder"), "int64"),
    "moved": "bool",
}


def no_masquerades() -> Parted:
    """The table of a recording that has none."""
    return Parted.of(TABLES["masquerades"].empty_table().to_pandas())


def no_hidden_connections() -> Parted:
    """The connections of a director that hides none."""
    return Parted.of(pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()}))


def hidden_connections(
    masquerades: Parted,
    changes: Parted,
    flows: pd.DataFrame | None = None,
    store: Store = IN_MEMORY,
) -> Parted:
    """The connections that one director hid, each once.

    Args:
        masquerades: its rows of the recording's table.
        changes: its entries' changes, as recorded.
        flows: ``Segments.flows``; None without a capture.
        store: keeps them.

    Returns:
        One row each, with ``CONNECTION_KEY``, ``server`` (``address:port``), ``source_ip,
        source_port`` (what that server took for the client), ``at_ns`` (first seen so),
        ``gone_ns`` (the first poll without the entry; the largest number where it stayed),
        ``flow`` (``NO_FLOW`` where it was not captured), ``moved`` (the port is not the client's
        own), ``row`` (its place in the recording, among those of the same instant) and ``holder``:
        the row of another connection of the same source address and server that had the client's
        port just then; -1 for none. They are in no order; in time it is that of instant and row.
    """
    coded = Coded()
    table = _kept(masquerades, coded, store)
    if not len(table["row"]):
        return no_hidden_connections()
    count = -(-len(table["row"]) // min(ROWS, store.part_rows))
    by_key = _dealt(table, CONNECTION_KEY, count, store)
    gone = store.keep(count, at_once(_gone(changes, coded, count)))
    near = None if flows is None else flows_dealt(flows, coded, count, store)
    writer = store.columns()
    for number in range(count):
        if rows := read(by_key, number):
            writer.append(_each_once(rows, read(gone, number), read(near, number) if near else {}))
    return _with_holders(writer.finish(), coded, count, store)


def _kept(masquerades: Parted, coded: Coded, store: Store) -> Columns:
    """The columns of a director's rows: texts as numbers."""
    writer, size = store.columns(), 0
    for frame in masquerades:
        rows = frame.assign(server=servers_of(frame).astype("string"))
        columns = coded.columns(rows[list(_NAMED)].astype(_NAMED))
        columns["at_ns"] = ns(frame["at"])
        columns["row"] = size + np.arange(len(frame))
        writer.append(columns)
        size += len(frame)
    return writer.finish()


def _dealt(
    table: Columns,
    names: tuple[str, ...],
    count: int,
    store: Store,
    made: Callable[[Columns], Columns] = dict,
) -> Buckets:
    """What is made of a table's columns, by a hash of some of its columns."""

    def tasks() -> Iterator[Dealt]:
        for rows in stretches(len(table["row"]), min(ROWS, store.part_rows)):
            yield dealt_by(
                names, made({name: values[rows] for name, values in table.items()}), count
            )
            store.release()

    return store.keep(count, at_once(tasks()))


def _gone(changes: Parted, coded: Coded, count: int) -> Iterator[Dealt]:
    """When entries of hidden connections were first seen gone."""
    for frame in changes:
        rows = frame[(frame["change"] == "gone").to_numpy(dtype=bool, na_value=False)]
        yield connections_dealt(rows, {"at_ns": ns(rows["at"])}, coded, count)


def _each_once(rows: Columns, gone: Columns, flows: Columns) -> Columns:
    """Each connection as first seen, with its end and its flow."""
    order = np.lexsort((rows["row"], rows["at_ns"]))
    rows = _taken(rows, order)
    same = alike([rows[name] for name in (*CONNECTION_KEY, "server", "source_ip", "source_port")])
    rows = _taken(rows, np.sort(np.unique(same, return_index=True)[1]))
    tables = [rows, *(table for table in (gone, flows) if table)]
    codes = alike([np.concatenate([table[name] for table in tables]) for name in CONNECTION_KEY])
    size, ends = len(rows["row"]), len(gone["at_ns"]) if gone else 0
    own, of_gone, of_flows = np.split(codes, [size, size + ends])
    rows["gone_ns"] = np.full(size, _NEVER)
    if ends:
        rows["gone_ns"] = _next_ns(of_gone, gone["at_ns"], own, rows["at_ns"])
    rows[FLOW] = np.full(size, NO_FLOW)
    if flows:
        flow = np.full(int(codes.max()) + 1, NO_FLOW)
        flow[of_flows] = flows[FLOW]
        rows[FLOW] = flow[own]
    return rows


def _taken(columns: Columns, places: Ints) -> Columns:
    return {name: column[places] for name, column in columns.items()}


def _next_ns(code: Ints, at_ns: Ints, of_code: Ints, since_ns: Ints) -> Ints:
    """The first instant of each wanted code after another instant; the largest number for none."""
    order = np.lexsort((at_ns, code))
    code, at_ns = code[order], at_ns[order]
    before = latest_row(code, at_ns, of_code, since_ns)
    after = np.where(before < 0, np.searchsorted(code, of_code), before + 1)
    nearest = np.minimum(after, len(code) - 1)
    return np.where((after < len(code)) & (code[nearest] == of_code), at_ns[nearest], _NEVER)


def _with_holders(table: Columns, coded: Coded, count: int, store: Store) -> Parted:
    own = _dealt(table, (*_HIDDEN_BY, "client_port"), count, store)
    others = _dealt(table, PORT_IN_USE, count, store, _as_holders)
    kept = Kept(store)
    for number in range(count):
        having = read(others, number)
        if rows := read(own, number):
            moved = rows["source_port"] != rows["client_port"]
            holder = _holders(rows, having, moved)
            frame = coded.frame(rows)
            numbers = {name: rows[name] for name in ("at_ns", "gone_ns", FLOW, "row")}
            kept.append(frame.assign(**numbers, holder=holder, moved=moved))
            store.release()
    return kept.finish()


def _as_holders(rows: Columns) -> Columns:
    return {name: rows[name] for name in (*PORT_IN_USE, "at_ns", "gone_ns", "row")}


def _holders(rows: Columns, having: Columns, moved: Bools) -> Ints:
    """Who had the port of each moved connection's client when that was made; -1 for none.

    The latest of those whose entries were there.

    Args:
        rows: those that are asked for.
        having: ``_as_holders``; those of the same ports among them.
        moved: of ``rows``.
    """
    found = np.full(len(moved), _NOBODY)
    if not having or not moved.any():
        return found
    asked = {name: rows[name][moved] for name in (*_HIDDEN_BY, "client_port")}
    asked["source_port"] = asked.pop("client_port")
    both = [np.concatenate([having[name], asked[name]]) for name in PORT_IN_USE]
    code, of_code = np.split(alike(both), [len(having["row"])])
    order = np.lexsort((having["row"], having["at_ns"], code))
    code, having = code[order], _taken(having, order)
    by_ns = rows["at_ns"][moved]
    latest = latest_row(code, having["at_ns"], of_code, by_ns)
    first = np.searchsorted(code, of_code)
    place = _last_until(having["gone_ns"], first, latest, by_ns)
    found[moved] = np.where(place < 0, _NOBODY, having["row"][place])
    return found


def _last_until(values: Ints, first: Ints, last: Ints, least: Ints) -> Ints:
    """The last place between two of which the value is no less than another; -1 for none.

    By halving: the largest of 1, 2, 4 … values before each place are known.

    Args:
        values: shape (n,).
        first: shape (m,).
        last: shape (m,); -1 where there is no place.
        least: shape (m,).
    """
    place, begun = last.copy(), last >= 0
    longest = int((last - first)[begun].max(initial=0)) + 1
    largest = [values]
    while 1 << len(largest) <= longest:
        before, step = largest[-1], 1 << (len(largest) - 1)
        largest.append(before.copy())
        np.maximum(before[step:], before[:-step], out=largest[-1][step:])
    for power in reversed(range(len(largest))):
        passes = (place - (1 << power) + 1 >= first) & begun
        passes[passes] = largest[power][place[passes]] < least[passes]
        place[passes] -= 1 << power
    return np.where(begun & (place >= first), place, -1)


def earliest(rows: pd.DataFrame, known: pd.Series | None = None) -> pd.Series | None:
    """The earliest of some hidden connections and of one that is known; None of none."""
    if rows.empty:
        return known
    first: pd.Series = rows.iloc[int(np.lexsort((rows["row"], rows["at_ns"]))[0])]
    if known is not None and (known["at_ns"], known["row"]) < (first["at_ns"], first["row"]):
        return known
    return first


def most_at_once(hidden: Parted) -> tuple[str, str, int] | None:
    """The source address and server with the most ports in use at an instant, and how many.

    Args:
        hidden: ``hidden_connections``.
    """
    coded, writer = Coded(), hidden.store.columns()
    for part in hidden:
        rows = part[part["server"].notna()]
        ends = coded.columns(rows[["source_ip", "server"]])
        for name, step in (("at_ns", 1), ("gone_ns", -1)):
            at_ns = rows[name].to_numpy(dtype=np.int64)
            there = at_ns != _NEVER
            steps = np.full(np.count_nonzero(there), step, dtype=np.int8)
            columns = {end: numbers[there] for end, numbers in ends.items()}
            writer.append({**columns, "at_ns": at_ns[there], "step": steps})
    ports = _PortsInUse()
    for columns in in_time(hidden.store, writer.finish()):
        ports.see(columns)
    source_ip, server = ([*coded.texts[name].numbers] for name in ("source_ip", "server"))
    found = [(-most, source_ip[ip], server[end]) for (ip, end), most in ports.most.items()]
    most, *of = min(found, default=(0, "", ""))
    return (*of, -most) if found else None


@dataclass(frozen=True, slots=True)
class _PortsInUse:
    """How many ports of each source address are in use to each server, and were at most."""

    now: dict[tuple[int, int], int] = field(default_factory=dict)
    most: dict[tuple[int, int], int] = field(default_factory=dict)

    def see(self, columns: Columns) -> None:
        """The next connections that began or ended, in order of time, whole instants."""
        ends = columns["source_ip"].astype(np.int64), columns["server"].astype(np.int64)
        order = np.lexsort((columns["at_ns"], ends[1], ends[0]))
        at_ns, step = columns["at_ns"][order], columns["step"][order]
        pairs = np.stack(ends, axis=1)[order]
        begins = np.flatnonzero(np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)][: len(order)])
        for first, until in pairwise([*begins.tolist(), len(order)]):
            pair = (int(pairs[first, 0]), int(pairs[first, 1]))
            held = self.now.get(pair, 0) + np.cumsum(step[first:until], dtype=np.int64)
            is_last = np.r_[at_ns[first + 1 : until] != at_ns[first : until - 1], True]
            self.now[pair] = int(held[-1])
            self.most[pair] = max(self.most.get(pair, 0), int(held[is_last].max()))
