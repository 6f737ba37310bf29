"""Hidden connections in any number of parts, against plain loops over all of them."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.masquerades import hidden_connections, most_at_once
from analyzer.observed.parted import Parted
from analyzer.parts import InMemory
from analyzer.predicted.entries import CAUSES, PORT_TAKEN, TIMER, Prediction
from analyzer.predicted.evictions import with_evictions
from tests.unit.analyzer.builders_packets import table
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NEVER = np.iinfo(np.int64).max
SERVERS = ["10.1.0.1", "10.1.0.2", None]


class Row(NamedTuple):
    """A row of ``masquerades/``: one client of each host number, one source address likewise."""

    at: int
    client: int
    client_port: int
    server: int
    source: int
    source_port: int

    @property
    def key(self) -> tuple[int, int]:
        """What tells its connection from others."""
        return self.client, self.client_port

    def columns(self) -> dict[str, Any]:
        """As it is recorded."""
        return {
            "at": self.at,
            "director": "node01",
            "protocol": "TCP",
            "client_ip": f"10.9.0.{self.client}",
            "client_port": self.client_port,
            "vip": "10.0.0.9",
            "port": 80,
            "real_server": SERVERS[self.server],
            "real_port": 80,
            "source_ip": f"10.0.0.{self.source}",
            "source_port": self.source_port,
        }


class Hidden(NamedTuple):
    """A connection as the loops find it."""

    row: Row
    number: int
    gone: int
    holder: int


PORTS = st.integers(5000, 5002)
ROWS = st.lists(
    st.builds(
        Row,
        at=st.integers(1, 9),
        client=st.integers(1, 3),
        client_port=PORTS,
        server=st.integers(0, len(SERVERS) - 1),
        source=st.integers(1, 2),
        source_port=PORTS,
    ),
    min_size=1,
    max_size=30,
)
GONE = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3), PORTS), max_size=20)
ENTRIES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(1, 6)), max_size=12, unique=True
)
FLOWS = [(client, port) for client in (1, 2) for port in (5000, 5001, 5002)]
"""Captured: not those of the third client."""


def slowly(rows: Sequence[Row], gone: Sequence[tuple[int, int, int]]) -> list[Hidden]:
    """The connections in order of time, each compared with all that came before it."""
    found: list[Hidden] = []
    seen = set[tuple[int, ...]]()
    for number, row in sorted(enumerate(rows), key=lambda each: each[1].at):
        if row[1:] in seen:
            continue
        seen.add(row[1:])
        ends = [at for at, *key in gone if tuple(key) == row.key and at > row.at]
        found.append(Hidden(row, number, min(ends, default=NEVER), -1))
    return [hidden._replace(holder=holder_of(hidden.row, found)) for hidden in found]


def holder_of(row: Row, connections: list[Hidden]) -> int:
    holders = [
        other.number
        for other in connections
        if (other.row.source, other.row.server) == (row.source, row.server)
        and other.row.source_port == row.client_port
        and other.row.at <= row.at <= other.gone
    ]
    return holders[-1] if holders and row.source_port != row.client_port else -1


def flows() -> pd.DataFrame:
    columns = [Row(1, client, port, 0, 1, 1).columns() for client, port in FLOWS]
    return pd.DataFrame(columns)[list(CONNECTION_KEY)]


def in_parts(rows: Sequence[Row], gone: Sequence[tuple[int, int, int]], part_rows: int) -> Parted:
    of_gone = (Row(at, client, port, 0, 1, 1).columns() for at, client, port in gone)
    changes = table("entries", [row | {"change": "gone", "expires_s": 0} for row in of_gone])
    store = InMemory(part_rows)
    masquerades, ends = (
        Parted(partial(pieces, whole), store)
        for whole in (table("masquerades", [row.columns() for row in rows]), changes)
    )
    return hidden_connections(masquerades, ends, flows(), store)


def pieces(whole: pd.DataFrame) -> Iterator[pd.DataFrame]:
    yield from (whole.iloc[at : at + 4] for at in range(0, len(whole) + 1, 4))


@examples(30)
@given(rows=ROWS, gone=GONE, part_rows=st.integers(1, 20))
def test_hidden_connections_are_what_loops_over_all_of_them_find(
    rows: list[Row], gone: list[tuple[int, int, int]], part_rows: int
) -> None:
    found = in_parts(rows, gone, part_rows)
    expected = slowly(rows, gone)
    whole = found.whole().sort_values(["at_ns", "row"])
    assert whole["row"].tolist() == [hidden.number for hidden in expected]
    assert whole["gone_ns"].tolist() == [hidden.gone for hidden in expected]
    assert whole["holder"].tolist() == [hidden.holder for hidden in expected]
    assert whole["flow"].tolist() == [flow_of(hidden.row) for hidden in expected]
    assert most_at_once(found) == most_slowly(expected)


def flow_of(row: Row) -> int:
    return FLOWS.index(row.key) if row.key in FLOWS else -1


def most_slowly(connections: list[Hidden]) -> tuple[str, str, int] | None:
    groups = defaultdict[tuple[str, str], list[Hidden]](list)
    for hidden in connections:
        if server := SERVERS[hidden.row.server]:
            groups[f"10.0.0.{hidden.row.source}", f"{server}:80"].append(hidden)
    most = {
        ends: max(
            sum(other.row.at <= hidden.row.at < other.gone for other in group) for hidden in group
        )
        for ends, group in groups.items()
    }
    if not most:
        return None
    ends = min(most, key=lambda each: (-most[each], each))
    return *ends, most[ends]


@examples(30)
@given(rows=ROWS, entries=ENTRIES, part_rows=st.integers(1, 20))
def test_entries_whose_port_is_taken_are_what_loops_over_all_of_them_find(
    rows: list[Row], entries: list[tuple[int, int, int]], part_rows: int
) -> None:
    before = predicted(entries, part_rows)
    found = with_evictions(before, in_parts(rows, [], part_rows)).entries
    ends, causes = evicted_slowly(slowly(rows, []), before.entries)
    assert found["ends_ns"].tolist() == ends
    assert found["cause"].tolist() == causes


def predicted(entries: list[tuple[int, int, int]], part_rows: int) -> Prediction:
    """Entries by flow, begin and what each lasts; no flow has two that begin at once."""
    begun = {(flow, begin): lasts for flow, begin, lasts in entries}
    rows = [(flow, begin, begin + lasts) for (flow, begin), lasts in sorted(begun.items())]
    made = pd.DataFrame(rows, columns=["flow", "first_ns", "ends_ns"], dtype="int64")
    made["cause"] = pd.Categorical([TIMER] * len(made), categories=CAUSES)
    return Prediction(
        director="node01",
        entries=made,
        steps=pd.DataFrame(),
        dropped_syns=0,
        store=InMemory(part_rows),
    )


def evicted_slowly(connections: list[Hidden], entries: pd.DataFrame) -> tuple[list[int], list[str]]:
    rows = list(entries[["flow", "first_ns", "ends_ns"]].itertuples(index=False, name=None))
    ends, causes = [end for *_, end in rows], [TIMER] * len(rows)

    def entry_of(hidden: Hidden) -> int | None:
        begun = [
            place
            for place, (flow, first, _) in enumerate(rows)
            if flow == flow_of(hidden.row) and first <= hidden.row.at
        ]
        return begun[-1] if begun else None

    captured = [
        hidden
        for hidden in connections
        if flow_of(hidden.row) >= 0 and SERVERS[hidden.row.server] is not None
    ]
    for number, hidden in enumerate(captured):
        port = hidden.row[3:]
        following = [other for other in captured[number + 1 :] if other.row[3:] == port]
        old = entry_of(hidden)
        if old is None or not following:
            continue
        new = entry_of(following[0])
        at = following[0].row.at if new is None else rows[new][1]
        if rows[old][1] < at < rows[old][2] and causes[old] == TIMER:
            ends[old], causes[old] = at, PORT_TAKEN
    return ends, causes


@pytest.mark.parametrize("part_rows", [1, 100])
@pytest.mark.parametrize("stays", range(8))
def test_of_many_that_had_a_port_the_one_whose_entry_stays_holds_it(
    stays: int, part_rows: int
) -> None:
    rows = [Row(1 + number, 1, 6000 + number, 0, 1, 5000) for number in range(8)]
    gone = [(row.at + 1, *row.key) for row in rows if row is not rows[stays]]
    moved = Row(20, 3, 5000, 0, 1, 7000)
    found = in_parts([*rows, moved], gone, part_rows).whole()
    assert found.loc[found["row"] == len(rows), "holder"].tolist() == [stays]
