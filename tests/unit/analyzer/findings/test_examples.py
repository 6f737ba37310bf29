"""Connections that a finding is about are counted the same in any parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.findings.examples import SHOWN, Examples, FlowSet
from analyzer.parts import IN_MEMORY

flow_columns = st.lists(st.lists(st.integers(0, 40), max_size=30).map(sorted), max_size=3)
part_rows = st.integers(1, 12)


def flow_set(columns: list[list[int]], rows: int) -> FlowSet:
    arrays = [np.array(column, dtype=np.int64) for column in columns]
    return FlowSet(arrays, replace(IN_MEMORY, part_rows=rows))


@given(flow_columns, part_rows)
def test_each_flow_of_several_directors_comes_once_in_order(
    columns: list[list[int]], rows: int
) -> None:
    found = [flow for part in flow_set(columns, rows).parts() for flow in part.tolist()]
    assert found == sorted({flow for column in columns for flow in column})


@given(flow_columns, part_rows)
def test_such_flows_are_counted_and_the_first_are_examples(
    columns: list[list[int]], rows: int
) -> None:
    flows = sorted({flow for column in columns for flow in column})
    found = flow_set(columns, rows).examples()
    assert (found.flows, found.first) == (len(flows), tuple(flows[:SHOWN]))


@given(flow_columns, st.lists(st.integers(0, 40), max_size=30).map(sorted))
def test_rows_of_these_flows_are_found(columns: list[list[int]], flow: list[int]) -> None:
    wanted = {number for column in columns for number in column}
    among = flow_set(columns, 5).among(np.array(flow, dtype=np.int64))
    assert among.tolist() == [number in wanted for number in flow]


def test_no_column_is_no_flow() -> None:
    assert not flow_set([], 5)
    assert not flow_set([[]], 5)
    assert flow_set([[], [3]], 5)
    assert flow_set([], 5).examples() == Examples()


rows_of_flows = st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), min_size=1, max_size=30)


def more(such: Examples, rows: list[tuple[int, int]]) -> Examples:
    return such.with_rows([flow for flow, _ in rows], [at_ns for _, at_ns in rows])


@given(rows_of_flows, st.data())
def test_rows_are_counted_the_same_flow_after_flow(
    rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    rows = sorted(rows)
    edges = [at for at in range(1, len(rows)) if rows[at][0] != rows[at - 1][0]]
    cut = data.draw(st.sampled_from([0, *edges]))
    whole = more(Examples(), rows)
    parts = more(more(Examples(), rows[:cut]), rows[cut:])
    assert parts == whole
    assert whole.rows == len(rows)
    instants = [row[1] for row in rows]
    assert whole.span_ns == (min(instants), max(instants))


def test_examples_are_the_first_as_given() -> None:
    such = Examples().with_rows([7, 3, 7, 9, 1])
    assert (such.rows, such.flows, such.first) == (5, 4, (7, 3, 9))
    assert such.span_ns is None
