"""Rows from an engine to the columns of a recording."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.forecast.closings import CLOSES
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.recording.tables import table_of
from loadgen.load.engines.rows import (
    BLOCK_ROWS,
    NONE,
    WIDTH,
    Row,
    RowBuffer,
    Texts,
    columns_of,
    rows_in,
)
from loadgen.load.plan import ClosedModel, LoadPlan
from loadgen.target import Target

if TYPE_CHECKING:
    from pathlib import Path

PLAN = LoadPlan(target=Target(vip="192.0.2.1", port=80), arrivals=ClosedModel(requests=1))
numbers = st.one_of(st.just(NONE), st.integers(0, 2**62))
row_lists = st.lists(st.lists(numbers, min_size=WIDTH, max_size=WIDTH).map(tuple), max_size=20)


@given(row_lists)
def test_blocks_carry_rows_as_they_were_noted(rows: list[tuple[int, ...]]) -> None:
    left: list[bytes] = []
    buffer = RowBuffer(left.append)
    for row in rows:
        buffer.row(row)
    buffer.flush()
    came = list(chain.from_iterable(rows_in(payload).tolist() for payload in left))
    assert [tuple(row) for row in came] == rows


def test_a_block_leaves_when_it_is_full_and_many_at_once_are_cut_into_blocks() -> None:
    left: list[bytes] = []
    buffer = RowBuffer(left.append)
    for number in range(BLOCK_ROWS):
        buffer.row(Row(number=number, scheduled=0))
    assert [len(rows_in(payload)) for payload in left] == [BLOCK_ROWS]
    buffer.row(Row(number=0, scheduled=0))
    buffer.block(np.zeros((BLOCK_ROWS + 5, WIDTH), np.int64))
    assert [len(rows_in(payload)) for payload in left[1:]] == [1, BLOCK_ROWS, 5]


def test_texts_are_numbered_as_they_first_occur_cleaned_and_bounded() -> None:
    announced: list[str] = []
    texts = Texts(announced.append)
    assert [texts.number(text) for text in ("a", "b\x1b[2J", "a")] == [0, 1, 0]
    assert announced == ["a", "b[2J"]
    texts.number("x" * 10_000)
    assert len(announced[-1]) == 200
    for number in range(10_000):
        assert texts.number(f"text {number}") < len(announced)
    assert len(announced) == 4096


def test_columns_have_names_for_numbers_and_nulls_for_what_is_not_known(tmp_path: Path) -> None:
    rows = np.array(
        [
            Row(number=0, scheduled=10, started=11, source=0, port=1025, status=200, close=0),
            Row(number=1, scheduled=20, error=1, close=CLOSES.index("reset"), closer=2),
        ],
        np.int64,
    )
    made = table_of("requests", columns_of(rows, ["192.0.2.9", "refused"], PLAN)).to_pylist()
    first, second = made
    assert (first["source_ip"], first["source_port"], first["status"]) == ("192.0.2.9", 1025, 200)
    assert (first["error"], first["ended"], first["rtt_us"]) == (None, None, None)
    assert (second["error"], second["close"], second["closer"]) == ("refused", "reset", "reset")
    assert (second["source_ip"], second["started"]) == (None, None)
    assert {row["vip"] for row in made} == {"192.0.2.1"}
    writer = RecordingWriter(tmp_path / "run", {})
    writer.extend_columns("requests", columns_of(rows, ["192.0.2.9", "refused"], PLAN))
    writer.close("completed")
    table = Recording.open(tmp_path / "run").table("requests")
    assert table["scheduled"].astype("int64").tolist() == [10, 20]
    assert table["port"].tolist() == [80, 80]
