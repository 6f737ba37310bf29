"""How a run ended is read from its manifest, and every verdict of a part says that it is one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.checks.baseline import judge_against
from analyzer.checks.grammar import parse_expectation
from analyzer.checks.judge import judge
from analyzer.recording.directory import Recording
from analyzer.recording.ending import CUT_OFF, ending_of
from analyzer.recording.manifest import manifest_of
from analyzer.report import to_json
from analyzer.sweep.folder import parse_folder
from analyzer.sweep.points import sweep_of

if TYPE_CHECKING:
    from analyzer.report import Analysis

DATA = Path(__file__).parents[3] / "data"

CLOSED = {"plan": {"model": "closed", "arrivals": {"requests": 50, "duration_s": None}}}
TIMED = {"plan": {"model": "closed", "arrivals": {"requests": None, "duration_s": 60.0}}}
OPEN = {
    "plan": {
        "model": "open",
        "arrivals": {
            "arrivals": "uniform",
            "requests": None,
            "stages": [
                {"duration_s": 10.0, "rate_per_s": 20.0},
                {"duration_s": 5.0, "rate_per_s": 60.0},
            ],
        },
    }
}
POISSON = {"plan": {"arrivals": {**OPEN["plan"]["arrivals"], "arrivals": "poisson"}}}  # type: ignore[dict-item]
OLD = {"plan": {"requests": 50}}


@pytest.mark.parametrize(
    ("manifest", "counts", "text"),
    [
        ({"ended": "completed", **CLOSED}, (31, 0), ""),
        ({"ended": "interrupted", **CLOSED}, (31, 0), "interrupted after 31 of 50 requests"),
        ({"ended": "interrupted", **OLD}, (0, 0), "interrupted after 0 of 50 requests"),
        (
            {"ended": "interrupted", **CLOSED},
            (31, 2),
            "interrupted after 31 of 50 requests, 2 of them under way",
        ),
        (
            {"ended": "interrupted", **CLOSED},
            (50, 0),
            "interrupted after all 50 requests, while their entries were watched",
        ),
        (
            {"ended": "interrupted", **TIMED},
            (31, 0),
            "interrupted before its 60 s were over, after 31 requests",
        ),
        ({"ended": "interrupted", **OPEN}, (100, 0), "interrupted after 100 of 500 requests"),
        (
            {"ended": "interrupted", **POISSON},
            (100, 0),
            "interrupted before its 15 s were over, after 100 requests",
        ),
        (
            {"ended": "aborted by failed>10: 12", **CLOSED},
            (31, 0),
            "aborted after 31 of 50 requests (failed>10: 12)",
        ),
        (
            {"ended": "failed: No space left on device", **CLOSED},
            (31, 0),
            "ended by an error after 31 of 50 requests (No space left on device)",
        ),
        (
            {"ended": None, **CLOSED},
            (31, 0),
            f"cut off after at least 31 of 50 requests ({CUT_OFF})",
        ),
        ({}, (0, 0), f"cut off ({CUT_OFF})"),
        ({"ended": "interrupted", "command": "collect"}, (0, 0), ""),
        (
            {"ended": "interrupted", "command": "collect", "planned_s": 3600.0},
            (0, 0),
            "interrupted before its 3600 s were over",
        ),
        ({"ended": None, "command": "collect"}, (0, 0), f"cut off ({CUT_OFF})"),
    ],
)
def test_a_runs_end_and_how_far_it_came_is_read_in_its_manifest(
    manifest: dict[str, Any], counts: tuple[int, int], text: str
) -> None:
    ending = ending_of(manifest_of(manifest), *counts)
    assert ending.text == text
    assert ending.is_whole == (text == "")


@given(st.text(max_size=300), st.integers(0, 99))
def test_any_words_are_an_end(ended: str, sent: int) -> None:
    ending = ending_of(manifest_of({"ended": ended, **CLOSED}), sent)
    assert (ending.text == "") is ending.is_whole is (ended == "completed")
    assert len(ending.text) < 400
    assert ending.load_is_whole or not ending.is_whole


# -- whole runs, cut in several ways -------------------------------------------------------------


@cache
def whole_run() -> Analysis:
    return analyse(Recording.open(DATA / "dr-burst-50"))


@cache
def run_that(ended: str | None, requests: int = 80) -> Analysis:
    """A burst of 50 whose plan was more, and whose end another."""
    with TemporaryDirectory() as directory:
        folder = Path(directory) / "run"
        shutil.copytree(DATA / "dr-burst-50", folder)
        manifest = json.loads((folder / "run.json").read_text())
        manifest["ended"] = ended
        manifest["plan"]["requests"] = requests
        (folder / "run.json").write_text(json.dumps(manifest))
        return analyse(Recording.open(folder))


def test_a_killed_run_says_so_before_anything_else() -> None:
    killed = analyse(Recording.open(DATA / "dr-burst-killed"))
    assert killed.verdict.startswith("Cut off after all 50 requests, while their entries were")
    assert "its program was killed" in killed.verdict
    (finding,) = [one for one in killed.findings if one.id == "run-incomplete"]
    assert finding.severity == "warning"
    assert "50 of 50 entries in FIN_WAIT on bal01 were not seen to expire" in finding.evidence
    assert to_json(killed)["ending"] == {
        "how": "cut off",
        "why": CUT_OFF,
        "planned": 50,
        "planned_s": None,
        "sent": 50,
        "cut_short": 0,
    }


@pytest.mark.parametrize(
    ("ended", "begins"),
    [
        ("interrupted", "Interrupted after 50 of 80 requests; tcpfin governs"),
        ("aborted by failed>10: 12", "Aborted after 50 of 80 requests (failed>10: 12); tcpfin"),
        ("failed: No space left on device", "Ended by an error after 50 of 80 requests (No space"),
        (None, "Cut off after at least 50 of 80 requests (its program was killed"),
    ],
)
def test_a_verdict_of_a_part_begins_with_that(ended: str | None, begins: str) -> None:
    found = run_that(ended)
    assert found.verdict.startswith(begins)
    assert "run-incomplete" in {one.id for one in found.findings}


def test_a_run_that_came_to_its_end_says_nothing_of_it() -> None:
    whole = whole_run()
    assert whole.ending is not None
    assert whole.ending.how == "completed"
    assert "run-incomplete" not in {one.id for one in whole.findings}


# -- checks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("tcpfin=20", "passed"),
        ("tcpfin=30±1s", "failed"),
        ("connect_p50<1s", "passed"),
        ("forwarding=dr", "passed"),
        ("failed_share<=1%", "passed"),
        ("inactive_peak<=100", "not measured"),
        ("inactive_peak<=40", "failed"),
        ("inactive_peak>=50", "passed"),
        ("inactive_peak>=60", "not measured"),
        ("inactive_peak=50", "not measured"),
        ("inactive_peak!=50", "not measured"),
        ("inactive_peak!=40", "passed"),
        ("sent=80", "not measured"),
        ("failed=0", "not measured"),
        ("connect_max<1s", "not measured"),
        ("problems=0", "not measured"),
        ("warnings=0", "failed"),
        ("finding(arp-flux)=0", "not measured"),
        ("finding(run-incomplete)=1", "passed"),
        ("finding(run-incomplete)=0", "failed"),
    ],
)
def test_of_an_interrupted_run_what_might_have_grown_is_not_measured(
    text: str, outcome: str
) -> None:
    found = judge(parse_expectation(text), run_that("interrupted"))
    assert found.outcome == outcome
    assert "interrupted after 50 of 80 requests" in (found.why or found.measured)


def test_a_load_that_was_sent_whole_is_judged_though_the_watch_was_interrupted() -> None:
    part = run_that("interrupted", requests=50)
    for text, outcome in (
        ("inactive_peak<=50", "passed"),
        ("failed=0", "passed"),
        ("ended_early=0", "not measured"),
    ):
        assert judge(parse_expectation(text), part).outcome == outcome


def test_a_baseline_is_not_compared_with_a_part_as_if_it_were_whole() -> None:
    whole = whole_run()
    part = run_that("interrupted")
    for pair, which in (((whole, part), "this run"), ((part, whole), "the baseline")):
        (load,) = [
            one for one in judge_against(*pair) if one.why.startswith(f"{which} was interrupted")
        ]
        assert load.outcome == "not measured"


# -- sweeps --------------------------------------------------------------------------------------


def test_a_sweep_that_was_interrupted_says_how_many_runs_it_has() -> None:
    whole = whole_run()
    part = replace(run_that("interrupted"), run="runs/tcpfin-30")
    assert not sweep_of("f", [(20.0, whole)], 1).verdict.startswith("Interrupted")
    few = sweep_of("f", [(20.0, whole)], 3)
    assert few.verdict.startswith("Interrupted: 1 of 3 runs came to their end.")
    assert few.runs_planned == 3
    mixed = sweep_of("f", [(20.0, whole), (30.0, part)])
    assert [point.tcpfin_s for point in mixed.points] == [20.0]
    assert mixed.verdict.startswith("Interrupted: 1 of 2 runs came to their end.")
    assert ("tcpfin 30 s", "its run was interrupted after 50 of 80 requests") in {
        (row.what, row.why) for row in mixed.not_measured
    }
    none = sweep_of("f", [(30.0, part)])
    assert none.verdict == "No value was measured: 0 of 1 runs came to their end"
    assert none.points == ()


@pytest.mark.parametrize(
    ("value", "planned"), [(3, 3), (0, None), (-1, None), (True, None), ("3", None), (None, None)]
)
def test_a_sweeps_file_says_how_many_runs_were_planned(value: object, planned: int | None) -> None:
    document = {"schema_version": 1, "runs": []}
    assert parse_folder(json.dumps(document | {"runs_planned": value}), "f").planned == planned
    assert parse_folder(json.dumps(document), "f").planned is None
