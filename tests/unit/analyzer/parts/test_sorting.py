"""Long columns in order, whatever the parts that they are sorted in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.parts import IN_MEMORY, InMemory
from analyzer.parts.sorting import in_time, middle_of
from tests.unit.properties import examples

NUMBERS = st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 5), min_size=1, max_size=60)


@examples(30)
@given(instants=NUMBERS, part_rows=st.integers(1, 70))
def test_rows_come_in_the_order_of_time_and_none_of_an_instant_are_apart(
    instants: list[int], part_rows: int
) -> None:
    at_ns = np.array(instants, dtype=np.int64)
    columns = {"at_ns": at_ns, "row": np.arange(len(at_ns))}
    parts = list(in_time(InMemory(part_rows), columns))
    assert np.concatenate([part["at_ns"] for part in parts]).tolist() == sorted(instants)
    rows = np.concatenate([part["row"] for part in parts])
    assert rows.tolist() == np.argsort(at_ns, kind="stable").tolist()
    spans = [set(part["at_ns"].tolist()) for part in parts]
    assert sum(map(len, spans)) == len(set(instants))


def test_no_rows_are_one_part_without_any() -> None:
    (part,) = in_time(IN_MEMORY, {"at_ns": np.zeros(0, dtype=np.int64)})
    assert part["at_ns"].tolist() == []


def test_the_parts_are_about_as_large_as_wanted() -> None:
    parts = in_time(InMemory(100), {"at_ns": np.random.default_rng(1).permutation(1000)})
    assert all(80 <= len(part["at_ns"]) <= 120 for part in parts)


@examples(30)
@given(numbers=NUMBERS, part_rows=st.integers(1, 70))
def test_the_middle_is_counted_as_if_it_were_sorted(numbers: list[int], part_rows: int) -> None:
    low, high = middle_of(InMemory(part_rows), np.array(numbers, dtype=np.int64))
    assert (low + high) / 2 == pytest.approx(float(np.median(numbers)))
    assert {low, high} <= set(numbers)
