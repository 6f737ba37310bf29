"""Columns read in stretches are what they are whole; those in files leave memory behind them."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts import long_columns
from analyzer.charts.long_columns import bounds, count_of, counted, release, rows_at_a_time

if TYPE_CHECKING:
    import pytest

AT_S = np.array([0.5, np.nan, 1.0, 2.5, 2.0, np.inf, 9.0])
EDGES = np.array([0.0, 1.0, 2.0, 3.0])


def test_stretches_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (counted(AT_S, EDGES).tolist(), bounds(AT_S), count_of(AT_S, np.isfinite))
    monkeypatch.setattr(long_columns, "PART_ROWS", 2)
    assert [len(part) for (part,) in rows_at_a_time(AT_S)] == [2, 2, 2, 1]
    assert (counted(AT_S, EDGES).tolist(), bounds(AT_S), count_of(AT_S, np.isfinite)) == whole
    assert whole == ([1, 1, 2], (0.5, 9.0), 5)


def test_only_the_chosen_count() -> None:
    assert counted(AT_S, EDGES, AT_S > 0.7).tolist() == [0, 1, 2]


def test_of_nothing_known_there_are_no_bounds() -> None:
    assert bounds(np.array([np.nan])) is None
    assert bounds(np.zeros(0)) is None


def test_a_column_of_a_file_leaves_memory_and_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "column"
    path.write_bytes(np.arange(100_000.0).tobytes())
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    column = np.frombuffer(memoryview(content))[10:]
    assert column.sum() > 0
    before_kb = _resident_kb(path)
    release(column, np.zeros(3))
    assert _resident_kb(path) < before_kb
    assert column[0] == 10


def _resident_kb(path: Path) -> int:
    of_file = Path("/proc/self/smaps").read_text().partition(str(path))[2]
    return int(of_file.partition("Rss:")[2].split()[0])
