"""The page of many runs draws all and lists the newest; that of few has everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.across_runs.history import History, Unreadable, history
from analyzer.across_runs.past_run import PastRun, RunRow, Value
from analyzer.documents import to_json
from reports.across_runs import history as page
from reports.across_runs.history import history_document
from reports.document.html import page_of
from reports.document.model import Table
from reports.run.section import Chart

if TYPE_CHECKING:
    import pytest

    from reports.document.model import Document


def made(runs: int) -> History:
    """Runs of which each fifth waits for another timeout."""
    past = [
        PastRun(
            row=RunRow(name=f"run-{number}", started_at_ns=number, verdict=""),
            load="a",
            values={"timeout(FIN_WAIT)": Value(value=30.0 + number // 5, unit="s")},
        )
        for number in range(runs)
    ]
    broken = [Unreadable(name=f"broken-{number}", why="no run.json") for number in range(runs)]
    return history("runs", past, broken)


def tables(document: Document) -> dict[str, list[Any]]:
    return {
        section.id: [row[0] for row in block.rows]
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table) and section.only != "terminal"
    }


def drawn(document: Document) -> Any:
    (chart,) = document.sections[0].blocks
    assert isinstance(chart, Chart)
    figure: Any = chart.figure
    return figure["data"]


def test_many_runs_are_all_drawn_and_the_newest_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_LISTED", 4)
    document = history_document(made(20))
    listed = tables(document)
    assert [cell.text for cell in listed["runs"]] == ["run-16", "run-17", "run-18", "run-19"]
    assert len(listed["unreadable"]) == 4
    assert [run["name"] for run in document.json["runs"]] == [f"run-{n}" for n in range(16, 20)]
    assert len(document.json["trends"][0]["points"]) == 4
    assert "The newest 4 of 20" in page_of(document)
    assert document.verdict.startswith("20 runs: ")
    line, marks = drawn(document)
    assert line["x"] == list(range(20))
    assert marks["x"] == [5, 10, 15]


def test_a_long_line_is_thinned_and_every_change_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_DRAWN", 8)
    line, marks = drawn(history_document(made(100)))
    assert 4 <= len(line["x"]) <= 10
    assert len(line["x"]) == len(line["y"]) == len(line["customdata"])
    assert (line["x"][0], line["x"][-1]) == (0, 99)
    assert marks["x"] == list(range(60, 100, 5))


def test_of_few_runs_the_page_has_what_json_has() -> None:
    few = made(6)
    document = history_document(few)
    assert document.json == to_json(few)
    assert "The newest" not in page_of(document)
