"""Tables in parts: whole flows together, nothing lost, nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.parts import (
    Dealt,
    InMemory,
    are_among,
    by_stretches,
    cuts,
    rows_of_flows,
    same_flows,
    stretches,
    taken,
)

if TYPE_CHECKING:
    from analyzer.parts import Columns

FLOWS = st.lists(st.integers(0, 9), max_size=40).map(lambda rows: np.array(sorted(rows), dtype=int))


@given(flow=FLOWS, part_rows=st.integers(1, 50))
def test_the_parts_are_all_rows_in_order_and_no_flow_is_cut(
    flow: np.ndarray, part_rows: int
) -> None:
    parts = [flow[rows] for rows in cuts(flow, part_rows)]
    assert np.concatenate([*parts, flow[:0]]).tolist() == flow.tolist()
    assert all(len(part) for part in parts)
    seen = [number for part in parts for number in np.unique(part)]
    assert len(seen) == len(set(seen))


def test_parts_are_about_as_large_as_wanted() -> None:
    sizes = [rows.stop - rows.start for rows in cuts(np.arange(1000), 300)]
    assert sizes == [250, 250, 250, 250]


@given(flow=FLOWS, part=FLOWS)
def test_the_same_flows_of_another_table_are_found(flow: np.ndarray, part: np.ndarray) -> None:
    chosen = flow[same_flows(part, flow)].tolist()
    inside = [one for one in flow.tolist() if len(part) and part[0] <= one <= part[-1]]
    assert chosen == inside


@given(part=FLOWS, wanted=FLOWS)
def test_rows_of_wanted_flows_are_among_them(part: np.ndarray, wanted: np.ndarray) -> None:
    assert are_among(part, wanted).tolist() == [one in set(wanted.tolist()) for one in part]


@given(flow=FLOWS, wanted=st.lists(st.integers(0, 12), max_size=9))
def test_the_rows_of_some_flows_are_found(flow: np.ndarray, wanted: list[int]) -> None:
    rows = rows_of_flows(flow, np.array(wanted, dtype=int))
    assert rows.tolist() == np.flatnonzero(np.isin(flow, wanted)).tolist()


@given(size=st.integers(0, 20), part_rows=st.integers(1, 9))
def test_an_array_is_the_same_by_stretches(size: int, part_rows: int) -> None:
    values = np.arange(size, dtype=np.int16)
    made = by_stretches(InMemory(part_rows), size, lambda rows: values[rows] * 2)
    assert made.dtype == np.int16
    assert made.tolist() == (values * 2).tolist()


@given(places=st.sets(st.integers(0, 19)), part_rows=st.integers(1, 9))
def test_few_values_are_taken_from_where_they_are(places: set[int], part_rows: int) -> None:
    values, rows = np.arange(20, dtype=np.int16) * 3, np.array(sorted(places), dtype=int)
    found = taken(InMemory(part_rows), values, rows)
    assert found.dtype == np.int16
    assert found.tolist() == values[rows].tolist()


def test_stretches_cover_a_table_once() -> None:
    assert [(rows.start, rows.stop) for rows in stretches(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert not list(stretches(0, 3))


def dealt(columns: Columns) -> Dealt:
    return Dealt(columns["odd"].astype(np.int64), columns)


@given(buckets=st.lists(st.integers(0, 300), max_size=40))
def test_dealt_rows_are_by_bucket_each_in_the_order_in_which_they_came(buckets: list[int]) -> None:
    rows = Dealt(np.array(buckets, dtype=np.int64), {"at": np.arange(len(buckets))})
    columns, bounds = rows.in_buckets(301)
    assert len(bounds) == 302
    for number in range(301):
        expected = [at for at, bucket in enumerate(buckets) if bucket == number]
        assert columns["at"][slice(*bounds[number : number + 2])].tolist() == expected


def test_columns_and_buckets_keep_the_order_in_which_rows_came() -> None:
    store = InMemory()
    columns = store.columns()
    rows = [{"at": np.array([n, n]), "odd": np.array([n % 2 > 0, False])} for n in range(4)]
    for row in rows:
        columns.append(row)
    buckets = store.deal(3, dealt, zip(rows))
    assert {name: one.tolist() for name, one in columns.finish().items()} == {
        "at": [0, 0, 1, 1, 2, 2, 3, 3],
        "odd": [False, False, True, False, False, False, True, False],
    }
    assert buckets.bucket(0).read()["at"].tolist() == [0, 0, 1, 2, 2, 3]
    assert buckets.bucket(1).read()["at"].tolist() == [1, 3]
    assert buckets.bucket(2).read() == {}
