"""The timeline as a table."""

from __future__ import annotations

import numpy as np

from reports.run.time_table import highest, time_table
from tests.unit.reports import builders_analysis as build


def test_every_request_and_packet_is_in_one_row() -> None:
    table = time_table(build.troubled())
    assert table is not None
    sums = {
        name: sum(cell for row in table.rows if isinstance(cell := row[i], int))
        for i, name in enumerate(table.columns)
        if i and ":" not in name
    }
    assert sums == {"requests ended": 50, "of these failed": 7, "SYN": 50, "FIN": 50, "RST": 7}


def test_the_peak_is_in_the_column_of_its_director() -> None:
    table = time_table(build.demo())
    assert table is not None
    for source in ("polled", "predicted"):
        column = table.columns.index(f"bal01: InActConn {source}")
        assert max(cell for row in table.rows if isinstance(cell := row[column], int)) == 50


def test_the_highest_of_each_part() -> None:
    t_s, values = np.array([0.5, 1.5, 3.5]), np.array([4, 9, 2])
    edges = np.arange(6.0)
    assert highest(t_s, values, edges, holds=False) == [4, 9, None, 2, None]
    assert highest(t_s, values, edges, holds=True) == [4, 9, 9, 9, 2]


def test_an_empty_run_has_no_table() -> None:
    assert time_table(build.nothing()) is None
