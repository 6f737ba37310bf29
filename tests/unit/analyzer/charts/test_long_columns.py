"""Columns read in stretches are what they are whole; those in files leave memory behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts import long_columns
from analyzer.charts.long_columns import bounds, count_of, counted, rows_at_a_time

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
