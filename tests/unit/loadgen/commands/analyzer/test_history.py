"""``analyzer history`` on folders as they lie about: runs, broken ones, none."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import ANALYSIS, Recording
from loadgen.commands import exit_code_of
from loadgen.commands.analyzer import group

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., tuple[int, str, str]]

DATA = Path(__file__).parents[4] / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, one that is none, and a file."""
    for name in ("dr-burst-50", "dr-burst-killed"):
        shutil.copytree(DATA / name, tmp_path / name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``analyzer history`` with some words: exit code, standard output, standard error."""

    def history(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["analyzer", "history", *words])
        code = exit_code_of(group)
        return code, *capsys.readouterr()

    return history


def test_a_folder_s_runs_are_listed_and_what_is_none_is_named(run: Run, folder: Path) -> None:
    code, out, _ = run(str(folder))
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == [
        "run",
        "dr-burst-50",
        "dr-burst-killed",
    ]
    assert re.search(r"\nWhat could not be read:\n  folder +why\n  broken  +\S", out)
    page = (folder / "history.html").read_text()
    assert "trends-chart" in page
    assert "broken" in page


def test_json_is_one_document_and_the_rest_goes_aside(run: Run, folder: Path) -> None:
    code, out, err = run(str(folder), "--json", "-o", str(folder / "page.html"))
    assert code == 0
    assert len(json.loads(out)["runs"]) == 2
    assert "page: " in err
    assert (folder / "page.html").exists()


def test_a_run_with_a_report_is_a_link_to_it(run: Run, folder: Path) -> None:
    (folder / "dr-burst-50" / "report.html").touch()
    assert run(str(folder))[0] == 0
    page = (folder / "history.html").read_text()
    assert '<a href="dr-burst-50/report.html">dr-burst-50</a>' in page
    assert page.count("/report.html") == 1


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_runs_is_one_line(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(str(tmp_path / name))
    assert code == 2
    assert err.count("\n") == 1
    assert str(tmp_path / name) in err


def test_an_analysis_beside_a_run_is_believed_only_while_it_is_fresh(folder: Path) -> None:
    place = folder / "dr-burst-50"
    recording = Recording.open(place)
    assert recording.fresh_analysis() is None
    path = place / ANALYSIS
    path.write_text('{"schema_version": 1, "verdict": "x"}')
    assert recording.fresh_analysis() == {"schema_version": 1, "verdict": "x"}
    os.utime(path, (1, 1))
    assert recording.fresh_analysis() is None
    for text in ("[]", "{", '{"schema_version": 99}', "[" * 100_000):
        path.write_text(text)
        assert recording.fresh_analysis() is None
