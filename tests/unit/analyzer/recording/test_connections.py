"""Which rows of ``requests/`` share a connection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.parts import InMemory
from analyzer.recording.connections import is_last_of_connection, is_reused
from analyzer.recording.requests import RequestRows
from tests.unit.analyzer.builders_packets import table

if TYPE_CHECKING:
    import pandas as pd


def rows(*requests: tuple[int, int | None, Any]) -> pd.DataFrame:
    """Of requests (id, source port, reused)."""
    return table(
        "requests",
        [
            {"id": number, "source_ip": "192.0.2.7", "source_port": port, "reused": reused}
            for number, port, reused in requests
        ],
    )


def lasts(*requests: tuple[int, int | None, Any]) -> list[bool]:
    return [bool(last) for last in is_last_of_connection(RequestRows.of(rows(*requests)))]


def test_a_recording_without_the_column_has_a_connection_for_each_request() -> None:
    assert lasts((0, 1, None), (1, 1, None), (2, None, None)) == [True, True, True]
    assert lasts() == []


def test_a_row_that_the_next_goes_on_from_is_not_the_last() -> None:
    assert lasts((0, 1, None), (1, 1, 1), (2, 1, 1), (3, 1, None)) == [False, False, True, True]


@pytest.mark.parametrize(
    "second",
    [(2, 1, 1), (1, 2, 1), (1, None, 1), (1, 1, 0)],
    ids=["an id is missing between", "another port", "no port", "said not to"],
)
def test_a_row_goes_on_only_from_the_one_before_it_at_its_port(second: Any) -> None:
    assert lasts((0, 1, None), second) == [True, True]


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(1, 9),
)
def test_there_are_as_many_lasts_as_connections_in_any_order_of_rows_and_any_parts(
    sizes: list[int], chance: Any, part_rows: int
) -> None:
    made = [
        (port, None if place == 0 else 1, place == size - 1)
        for port, size in enumerate(sizes)
        for place in range(size)
    ]
    order = list(range(len(made)))
    chance.shuffle(order)
    requests = rows(*((number, made[number][0], made[number][1]) for number in order))
    parts = replace(RequestRows.of(requests), store=InMemory(part_rows)).parts()
    assert [last for part in parts for last in is_last_of_connection(part)] == [
        is_last for *_, is_last in made
    ]
    assert int(np.sum(~is_reused(requests))) == len(sizes)
