"""A folder of repeated fail-overs is concluded, and again by ``analyzer report``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import RecordingWriter
from loadgen.commands import analyzer as analyzer_script
from loadgen.commands import exit_code_of
from loadgen.failover.conclude import conclude_repeats, is_repeats, run_name

if TYPE_CHECKING:
    from pathlib import Path

WHY = "192.168.10.2 is held by nobody, expected one director"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs whose set-up was not sane, and something that is none."""
    for number in range(2):
        outcome = {"fault": "bal01: crash", "why_insane": [WHY]}
        RecordingWriter(tmp_path / run_name(number), {"failover": outcome}).close("completed")
    (tmp_path / "run-notes").mkdir()
    return tmp_path


def test_every_run_gets_its_page_and_all_have_one(folder: Path) -> None:
    assert is_repeats(folder)
    assert not is_repeats(folder / run_name(0))
    concluded = conclude_repeats(folder, folder / "all of them.html")
    assert [analysis.run for analysis in concluded.analyses] == [
        str(folder / run_name(number)) for number in range(2)
    ]
    assert concluded.summary.invalid == (1, 2)
    assert (folder / "run-002" / "report.html").is_file()
    html = (folder / "all of them.html").read_text()
    assert 'href="run-002/report.html"' in html
    assert WHY in html


def test_a_page_elsewhere_leads_to_the_runs_all_the_same(folder: Path) -> None:
    conclude_repeats(folder, folder.parent / "all.html")
    html = (folder.parent / "all.html").read_text()
    assert f'href="{folder.name}/run-001/report.html"' in html


def test_a_folder_of_runs_is_reported_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["analyzer", "report", str(folder), "--json"])
    assert exit_code_of(analyzer_script.group) == 0
    out, err = capfd.readouterr()
    document = json.loads(out)
    assert document == json.loads((folder / "repeats.json").read_text())
    assert [run["why_invalid"] for run in document["runs"]] == [WHY, WHY]
    assert err.splitlines()[-2:] == [f"page: {folder / 'repeats.html'}", str(folder)]
