"""The tables behind the charts hold what the charts draw, in columns that say their units."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from analyzer.parts import PART_ROWS
from analyzer.results import Event
from reports.export.sheets import SHEETS, kinds_of, sheet, to_csv
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.run.test_page import HOSTILE

if TYPE_CHECKING:
    from analyzer.report import Analysis

UNITS = re.compile(r"(_s|_ms|^ms|^share)$")


def whole(run: Analysis, name: str) -> pd.DataFrame:
    return pd.concat(list(sheet(run, name)), ignore_index=True)


@pytest.mark.parametrize("name", build.RUNS)
def test_every_run_has_every_table_with_its_columns_and_types(name: str) -> None:
    run = build.RUNS[name]()
    for table, (columns, _) in SHEETS.items():
        for frame in sheet(run, table):
            kinds = {column: str(kind) for column, kind in frame.dtypes.items()}
            assert kinds == kinds_of(columns), table


def test_a_number_with_a_unit_says_so_in_its_name() -> None:
    bare = {"weight", "entries_expected"}
    for columns, _ in SHEETS.values():
        for name, kind in kinds_of(columns).items():
            if kind == "float64" and name not in bare:
                assert UNITS.search(name), name


def test_the_curves_are_those_of_the_analysis() -> None:
    run = build.demo()
    polled = whole(run, "counters_polled")
    assert len(polled) == sum(len(curve.t_s) for curve in run.timeline.observed)
    assert polled.groupby("director")["inactive"].max().to_dict() == {"bal01": 25, "bal02": 0}


def test_what_was_not_measured_is_empty_and_not_zero() -> None:
    frame = whole(build.without_capture(), "lifetimes")
    assert frame["lifetime_mean_s"].isna().all()
    assert ",,,,,," in to_csv(frame).splitlines()[1]


def test_the_heat_map_keeps_every_request() -> None:
    assert whole(build.demo(), "latency_over_time")["requests"].sum() == 50


def test_each_hop_of_a_story_is_a_row() -> None:
    run = build.demo()
    hops = sum(len(packet.legs) for trace in run.traces for packet in trace.packets)
    frame = whole(run, "connection_packets")
    assert len(frame) == hops
    assert set(frame["captured"]) == {True, False}


@pytest.mark.parametrize("text", [*HOSTILE, "=1+1", "@SUM(A1)", "-2", "+3", '"', "a,b", "a\r\nb"])
def test_hostile_text_stays_one_cell_and_is_no_formula(text: str) -> None:
    event = Event(t_s=1.0, host=text, kind=text, detail=text)
    run = build.demo()
    run = replace(run, timeline=replace(run.timeline, events=(event,)))
    table = to_csv(whole(run, "events"))
    (_, row) = csv.reader(io.StringIO(table, newline=""))
    assert row[0] == "1.0"
    shown = text.encode("utf-8", "replace").decode()
    assert set(row[1:]) in ({shown}, {f"'{shown}"})
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row[1:])


def test_a_million_requests_are_a_table_too() -> None:
    run = build.demo()
    many = np.linspace(0, 100, 1_000_000)
    timeline = replace(
        run.timeline,
        request_ended_s=many,
        request_failed=np.zeros(len(many), dtype=bool),
        connect_ms=many,
        first_byte_ms=many,
        total_ms=many,
    )
    pieces = [len(frame) for frame in sheet(replace(run, timeline=timeline), "requests")]
    assert sum(pieces) == 1_000_000
    assert max(pieces) <= PART_ROWS < 1_000_000


def test_every_table_stands_in_the_docs() -> None:
    page = (Path(__file__).parents[4] / "docs" / "reports.md").read_text("utf-8")
    assert [name for name in SHEETS if f"`{name}`" not in page] == []
