"""Tables as columns of numbers: nothing is lost, and no text is there twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from analyzer.parts import InMemory, by_stretches
from analyzer.parts.columns import (
    Numbering,
    alike,
    buckets_of,
    code_type,
    codes_of,
    columns_of,
    distinct,
    named,
    narrowed,
    places,
    table_of,
    with_columns,
)


def test_a_table_comes_back_from_its_columns() -> None:
    table = pd.DataFrame(
        {
            "at_ns": np.arange(3),
            "cause": named(np.array([1, 0, -1], dtype=np.int8), ["timer", "flush"]),
        }
    )
    columns = columns_of(table)
    assert columns["cause"].tolist() == [1, 0, -1]
    twice = {name: np.concatenate([column, column]) for name, column in columns.items()}
    assert_frame_equal(table_of(twice, table), pd.concat([table, table], ignore_index=True))


@pytest.mark.parametrize("count", [0, 1, 126, 127, 128, 32_766, 32_767, 40_000])
def test_the_numbers_of_texts_are_not_copied(count: int) -> None:
    codes = np.zeros(2, dtype=code_type(count))
    texts = named(codes, [str(number) for number in range(count)])
    assert np.shares_memory(codes_of(texts), codes)


def test_a_text_has_the_place_of_its_first() -> None:
    assert distinct(["TCP", "UDP", "TCP"]) == ["TCP", "UDP"]
    assert places(["TCP", "UDP", "TCP"]).tolist() == [0, 1, 0]


def test_columns_are_replaced_and_none_is_copied() -> None:
    columns = {"first": np.arange(3), "last": np.arange(3)}
    last = np.array([7, 8, 9])
    changed = with_columns(pd.DataFrame(columns, copy=False), last=last)
    assert changed.to_dict("list") == {"first": [0, 1, 2], "last": [7, 8, 9]}
    assert np.shares_memory(changed["last"].to_numpy(), last)
    assert np.shares_memory(changed["first"].to_numpy(), columns["first"])


@pytest.mark.parametrize("part_rows", [1, 2, 9])
def test_texts_are_numbered_in_the_order_of_the_first_of_each(part_rows: int) -> None:
    texts = pd.Series(["b", "a", None, "b", "c"], dtype="string")
    store, names = InMemory(part_rows), Numbering()
    codes = by_stretches(store, len(texts), lambda rows: names.numbers_of(texts.iloc[rows]))
    assert codes.tolist() == [0, 1, -1, 0, 2]
    kept = named(narrowed(codes, len(names.numbers), store), list(names.numbers))
    assert kept.isna().tolist() == [False, False, True, False, False]
    assert kept.dropna().tolist() == ["b", "a", "b", "c"]


def test_rows_that_are_alike_have_a_number_in_order_of_the_first_and_one_bucket() -> None:
    ports = np.array([7, 9, 7, 7, -1], dtype=np.int32)
    clients = pd.Series(["b", "a", "b", None, "a"], dtype="str")
    assert alike([ports, clients]).tolist() == [0, 1, 0, 2, 3]
    assert alike([ports[:0], clients[:0]]).tolist() == []
    many = np.arange(40_000)
    in_buckets = buckets_of([many % 20_000, many * 0 - 1], 7)
    assert in_buckets[:20_000].tolist() == in_buckets[20_000:].tolist()
    counts = np.bincount(in_buckets, minlength=7)
    assert counts.min() > 0.9 * counts.max()
