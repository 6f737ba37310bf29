"""Runs become points beside the model, and the knee is the smallest value above every silence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.documents import to_json
from analyzer.errors import RecordingError
from analyzer.pictures.fin_waits import FinWaits
from analyzer.recording.directory import Recording
from analyzer.recording.manifest import manifest_of
from analyzer.results import Estimate
from analyzer.sweep.folder import parse_folder
from analyzer.sweep.knee import FIN_AGAIN, LAST_ACK, knee_of
from analyzer.sweep.points import point_of, sweep_of
from analyzer.sweep.results import Beside

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.sweep.results import Point

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """A burst of 50 under tcpfin 20; its recording is older than plans that say how to close."""
    found = analyse(Recording.open(DATA / "dr-burst-50"))
    return replace(
        found, manifest=manifest_of({**found.manifest.raw, "plan": {"close": {"client": 1.0}}})
    )


@pytest.fixture(scope="module")
def point(analysis: Analysis) -> Point:
    return point_of(20, analysis)


def test_a_real_burst_lies_on_the_models_curve(point: Point) -> None:
    assert (point.sent, point.failed, point.state, point.timeout_name) == (
        50,
        0,
        "FIN_WAIT",
        "tcpfin",
    )
    assert point.timeout_agrees
    assert point.peak_inactive is not None
    assert point.peak_inactive.agrees
    assert point.peak_inactive.measured == 50
    assert point.collisions == 0
    assert point.waits is not None
    assert point.waits.connections == 50
    assert point.memory is not None
    assert point.memory.entries == 50


def test_the_memory_is_by_the_table_that_grew_and_the_directors_own_bytes(
    analysis: Analysis,
) -> None:
    tables = [
        replace(one, resizes=True, buckets=256, most_buckets=1024, entry_bytes=288)
        for one in analysis.tables
    ]
    memory = point_of(20, replace(analysis, tables=tuple(tables))).memory
    assert memory is not None
    assert (memory.buckets, memory.entry_bytes) == (1024, 50 * 288)


def test_a_run_that_does_not_say_how_it_closed_has_no_model_beside_it(analysis: Analysis) -> None:
    unknown = point_of(20, replace(analysis, manifest=manifest_of({})))
    assert unknown.peak_inactive is None
    assert unknown.ports is None
    assert unknown.timeout_agrees


def test_what_a_burst_half_closed_is_modelled_as_closed(analysis: Analysis, point: Point) -> None:
    plan = {"close": {"half": 3.0, "client": 1.0}}
    half = point_of(
        20, replace(analysis, manifest=manifest_of({**analysis.manifest.raw, "plan": plan}))
    )
    assert half.peak_inactive is not None
    assert point.peak_inactive is not None
    assert half.peak_inactive.model == pytest.approx(point.peak_inactive.model)
    assert half.peak_inactive.measured == point.peak_inactive.measured


def test_a_burst_shorter_than_a_lifetime_has_no_steady_state(point: Point) -> None:
    assert point.steady_inactive is not None
    assert point.steady_inactive.measured is None
    assert "the load lasted" in (point.steady_inactive.why or "")
    assert point.steady_inactive.agrees is None


def test_another_tcpfin_than_the_one_in_force_does_not_agree(analysis: Analysis) -> None:
    assert point_of(25, analysis).timeout_agrees is False
    assert "lifetimes differ at 25 s" in sweep_of("f", [(25, analysis)]).verdict


def test_a_beside_agrees_within_its_uncertainty_and_not_beyond() -> None:
    assert Beside(measured=104, model=100, uncertainty=4).agrees
    assert Beside(measured=105, model=100, uncertainty=4).agrees is False
    assert Beside(measured=None, model=100, uncertainty=4).agrees is None


def silent(point: Point, tcpfin_s: float, **longest: float) -> Point:
    waits = FinWaits(
        director="bal01",
        connections=300,
        repeated=int("longest_fin_s" in longest),
        **{"longest_fin_s": None, "longest_ack_s": None, "longest_half_closed_s": None} | longest,
    )
    return replace(point, tcpfin_s=tcpfin_s, waits=waits, path_jitter_s=0.05)


def test_the_knee_is_the_smallest_value_above_the_longest_silence_of_all_runs(
    point: Point,
) -> None:
    points = [
        silent(point, 10, longest_ack_s=0.2),
        silent(point, 30, longest_ack_s=12.8),
        silent(point, 60, longest_fin_s=0.4),
    ]
    knee = knee_of(points)
    assert knee.tcpfin_s == 30
    assert knee.least_s == 13
    assert knee.longest_wait_s == 12.8
    assert knee.limited_by == LAST_ACK
    assert knee.connections == 900
    assert "12.8 s (within 50 ms)" in knee.why
    assert any("fewer than 1 in 300" in row for row in knee.not_measured)
    assert not any(row.startswith("loss") for row in knee.not_measured)


def forwarded(analysis: Analysis, way: str, **lived: Any) -> Analysis:
    """The same run, had its director forwarded so and its entries waited so."""
    tables = tuple(
        replace(table, rows=tuple(replace(row, forwarding=way) for row in table.rows))
        for table in analysis.timeline.peaks
    )
    return replace(
        analysis,
        run=f"runs/{way}-tcpfin",
        timeline=replace(analysis.timeline, peaks=tables),
        lifetimes=tuple(replace(row, **lived) for row in analysis.lifetimes),
    )


def test_of_several_ways_of_forwarding_those_that_tcpfin_governs_have_a_say(
    analysis: Analysis,
) -> None:
    nat = forwarded(analysis, "nat", state="TIME_WAIT", timeout_name="fixed")
    runs = [(20, nat), (30, nat), (20, forwarded(analysis, "tun"))]
    found = sweep_of("f", runs)
    assert found.ways == ("nat", "tun")
    assert [(one.forwarding, one.tcpfin_s) for one in found.points] == [
        ("nat", 20),
        ("nat", 30),
        ("tun", 20),
    ]
    assert found.verdict == (
        "20 s is enough for these clients: of tcpfin 20 s, entry lifetimes match each; "
        "in nat tcpfin governed nothing: entries waited in TIME_WAIT"
    )
    assert found.knee.connections == 50


def test_jitter_counts_against_a_value_that_is_only_just_enough(point: Point) -> None:
    knee = knee_of([silent(point, 10, longest_fin_s=9.97), silent(point, 20, longest_fin_s=1.0)])
    assert knee.tcpfin_s == 20
    assert knee.limited_by == FIN_AGAIN


def test_no_value_of_the_sweep_may_be_enough(point: Point) -> None:
    knee = knee_of([silent(point, 10, longest_fin_s=25.6)])
    assert knee.tcpfin_s is None
    assert knee.least_s == 26
    assert knee.why.endswith("no value of this sweep is")


def test_where_nothing_was_lost_it_is_said_that_loss_was_not_measured(point: Point) -> None:
    knee = knee_of([silent(point, 10, longest_ack_s=0.01)])
    assert any(row.startswith("loss") for row in knee.not_measured)


def test_without_packets_or_without_tcpfin_there_is_no_knee(point: Point) -> None:
    assert knee_of([replace(point, waits=None)]).tcpfin_s is None
    nat = replace(
        point, state="TIME_WAIT", timeout_name="fixed", timeout=Estimate(value=120, uncertainty=1)
    )
    assert nat.timeout_agrees is None
    assert "governed no entry" in knee_of([nat]).why


SECONDS = st.floats(0.001, 200)


@given(longest_s=st.lists(SECONDS, min_size=1, max_size=4), tcpfin_s=st.sets(st.integers(1, 200)))
def test_the_knee_is_above_every_silence_and_no_smaller_value_is(
    point: Point, longest_s: list[float], tcpfin_s: set[int]
) -> None:
    values_s = sorted(tcpfin_s) or [1]
    points = [silent(point, value_s, longest_ack_s=longest_s[0]) for value_s in values_s]
    points += [silent(point, values_s[0], longest_fin_s=each) for each in longest_s]
    knee = knee_of(points)
    enough = [value_s for value_s in values_s if value_s > max(longest_s) + 0.05]
    assert knee.tcpfin_s == (min(enough) if enough else None)


def test_points_come_smallest_first_and_the_document_is_plain(analysis: Analysis) -> None:
    sweep = sweep_of("folder", [(20, analysis), (10, analysis)])
    assert [point.tcpfin_s for point in sweep.points] == [10, 20]
    document = json.loads(json.dumps(to_json(sweep), allow_nan=False))
    assert document["schema_version"] == 1
    assert document["points"][1]["timeout_agrees"] is True
    assert document["points"][1]["peak_inactive"]["agrees"] is True


def test_a_sweep_without_a_whole_run_measured_no_value() -> None:
    sweep = sweep_of("folder", [], 3, {"bal01": "900 120 300"})
    assert sweep.points == ()
    assert sweep.knee.tcpfin_s is None
    assert sweep.verdict == "No value was measured: 0 of 3 runs came to their end"
    (missing,) = sweep.not_measured
    assert "bal01 had 900 120 300 before" in missing.why
    assert sweep_of("folder", []).verdict == "No value was measured: no run came to its end"


@pytest.mark.parametrize("before", ["null", "[]", "7", '{"bal01": 7}'])
def test_timeouts_before_that_are_none_are_not_known(before: str) -> None:
    text = f'{{"schema_version": 1, "runs": [], "timeouts_before": {before}}}'
    assert parse_folder(text, "f").before == {}


def test_the_folders_file_names_values_and_runs() -> None:
    text = '{"schema_version": 1, "runs": [{"tcpfin_s": 10, "run": "tcpfin-10"}]}'
    assert parse_folder(text, "f").runs == ((10.0, "tcpfin-10"),)


def test_the_folders_file_names_the_timeouts_before_in_words() -> None:
    text = '{"schema_version": 1, "runs": [], "timeouts_before": {"bal01": "900 120 300", "b": 7}}'
    assert parse_folder(text, "f").before == {"bal01": "900 120 300"}


@given(
    st.text(max_size=20)
    | st.sampled_from(["[]", "{}", "7", '{"schema_version": 2}', '{"schema_version": 1}'])
    | st.sampled_from(["../..", "/etc", "a/b", "", "..", 7, None, "a\0"]).map(
        lambda name: json.dumps({"schema_version": 1, "runs": [{"tcpfin_s": 1, "run": name}]})
    )
    | st.sampled_from([0, -1, True, "10", None, 1e300]).map(
        lambda value: json.dumps({"schema_version": 1, "runs": [{"tcpfin_s": value, "run": "a"}]})
    )
)
def test_another_file_is_one_clear_line(text: str) -> None:
    with pytest.raises(RecordingError, match=r"^where: "):
        parse_folder(text, "where")
