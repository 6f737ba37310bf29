"""Axes of counts."""

from __future__ import annotations

import pytest

from reports.charts.panels import whole_numbers


@pytest.mark.parametrize("top", [0, 1, 4, 5, 50, 20_000, 1_000_000])
def test_count_axes_have_few_whole_ticks(top: int) -> None:
    axis = whole_numbers(top)
    assert axis["dtick"] == int(axis["dtick"])
    assert max(top, 1) / axis["dtick"] <= 5
