"""What a run says of the workers that sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.analysis import analyse
from analyzer.errors import RecordingError
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.report import to_json
from loadgen.session.output.conclude import exit_code
from reports.run.sections import workers as section
from reports.run.text import summary_lines

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis

WELL = {"name": "w1", "host": "a", "share": 0.25, "planned": 250, "sent": 250, "lost": 0}
LOST_AT_NS = 1_795_360_280_120_000_000
LOST = {
    "name": "w2",
    "host": "b",
    "share": 0.25,
    "planned": 250,
    "sent": 100,
    "lost": 150,
    "lost_at_ns": LOST_AT_NS,
    "why": "stalled",
}
CHANCE = LOST | {"name": "w3", "planned": None, "lost": None, "why": "died"}


def analysed(path: Path, *workers: dict[str, Any]) -> Analysis:
    writer = RecordingWriter(path, {"workers": list(workers)})
    writer.close("completed")
    return analyse(Recording.open(path))


def ids(analysis: Analysis) -> set[str]:
    return {finding.id for finding in analysis.findings}


def test_workers_that_did_all_are_no_finding(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, WELL)

    assert not ids(analysis) & {"load-lost", "worker-clocks"}
    assert exit_code(analysis, "completed") == 0


def test_a_lost_worker_is_named_with_its_share_its_requests_and_when(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, WELL, LOST)

    (finding,) = (each for each in analysis.findings if each.id == "load-lost")
    assert finding.severity == "problem"
    assert "25% of the load" in finding.title
    assert (
        "w2 was lost at 2026-11-22T15:11:20.120Z (it did not answer): "
        "150 of its 250 requests are not in the recording"
    ) in finding.evidence
    assert exit_code(analysis, "completed") == 1
    assert analysis.verdict.startswith("150 of 500 planned requests were lost with 1 of 2 workers")


def test_what_time_or_chance_decides_is_not_counted_as_lost(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, CHANCE)

    (finding,) = (each for each in analysis.findings if each.id == "load-lost")
    assert "100 requests of its 25% of the load are recorded" in finding.evidence
    assert analysis.verdict.startswith("1 of 1 workers were lost, with 25% of the load")


@pytest.mark.parametrize(("uncertainty_s", "is_said"), [(0.005, False), (0.00501, True)])
def test_clocks_that_are_not_known_to_5_ms_are_said(
    tmp_path: Path, uncertainty_s: float, is_said: bool
) -> None:
    analysis = analysed(tmp_path, WELL | {"clock_uncertainty_s": uncertainty_s})

    assert ("worker-clocks" in ids(analysis)) is is_said


def test_an_interrupted_run_keeps_its_own_exit_code(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, LOST)

    assert exit_code(analysis, "interrupted") == 130
    assert exit_code(analysis, "aborted") == 99


def test_the_page_and_the_terminal_have_each_worker(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, WELL, LOST)

    shown = section.section(analysis)
    assert shown is not None
    table = shown.charts[0].table
    assert table is not None
    assert [row[0] for row in table.rows] == ["w1", "w2"]
    assert [row[5] for row in table.rows] == [0, 150]
    said = "2 workers sent the load; 1 with 25% of it did not end well: 150 requests lost."
    assert said in " ".join(summary_lines(analysis))


def test_one_worker_and_one_request_are_singular(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, LOST | {"lost": 1})

    said = "1 worker sent the load; 1 with 25% of it did not end well: 1 request lost"
    assert section.sentence(analysis) == said


def test_a_load_of_one_host_has_no_such_section(tmp_path: Path) -> None:
    analysis = analysed(tmp_path)

    assert section.section(analysis) is None
    assert to_json(analysis)["workers"] == []


def test_the_document_has_each_worker(tmp_path: Path) -> None:
    (row,) = to_json(analysed(tmp_path, LOST))["workers"]

    assert (row["name"], row["planned"], row["sent"], row["lost"]) == ("w2", 250, 100, 150)
    assert (row["lost_at_ns"], row["why"], row["share"]) == (LOST_AT_NS, "stalled", 0.25)


@pytest.mark.parametrize("bad", [{"share": 2}, {"sent": -1}, {"name": 7}, {"lost_at_ns": -5}])
def test_a_worker_that_cannot_be_is_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(RecordingError, match=r"workers\[0\]"):
        analysed(tmp_path, WELL | bad)
