"""``analyzer report --format``: other forms of the same analysis, as an operator asks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from analyzer.recording.spill import SPILLED_BYTES
from loadgen.errors import UsageProblem
from loadgen.importing import run_of_files
from loadgen.session.means.workers import FASTER_FROM_BYTES, LocalWorkers
from reports.export.sheets import SHEETS
from tests.unit.loadgen.commands.in_process import run_in_process

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SCRIPT = Path(sys.executable).parent / "analyzer"
DATA = Path(__file__).resolve().parents[4] / "data"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    copy = tmp_path / "a run"
    shutil.copytree(DATA / "dr-burst-50", copy)
    return copy


def report(*words: object) -> CompletedProcess[str]:
    return run_in_process("analyzer", "report", *words)


def test_tables_as_csv_go_into_a_folder_of_the_run(recording: Path) -> None:
    shown = report(recording, "--format", "csv")
    assert shown.returncode == 0, shown.stderr
    folder = recording / "tables-csv"
    assert shown.stdout.splitlines()[-2:] == [f"tables: {folder}", str(recording)]
    assert {file.stem for file in folder.iterdir()} == set(SHEETS)
    requests = pd.read_csv(folder / "requests.csv")
    assert len(requests) == 50
    assert requests["total_ms"].max() == pytest.approx(37.3, abs=0.1)


def test_tables_as_parquet_keep_their_types(recording: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    shown = report(recording, "--format", "parquet", "-o", folder)
    assert shown.returncode == 0, shown.stderr
    frame = pd.read_parquet(folder / "counters_polled.parquet")
    assert frame["inactive"].max() == 25
    assert pd.read_parquet(folder / "sockets.parquet").empty


def test_without_a_browser_the_summary_says_so_in_one_line(recording: Path) -> None:
    words: list[str | Path] = [SCRIPT, "report", recording, "--format", "md"]
    environment = os.environ | {"PATH": "/nowhere"}
    shown = subprocess.run(words, capture_output=True, text=True, timeout=90, env=environment)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.count("\n") == 1
    assert "the charts have no pictures: no Chrome or Chromium" in shown.stderr
    text = (recording / "report.md").read_text("utf-8")
    assert text.count("no Chrome or Chromium") == 1
    assert "](report-charts/story.svg)" in text  # the ladder needs no browser
    assert [file.name for file in (recording / "report-charts").iterdir()] == ["story.svg"]


def test_json_stays_alone_on_standard_output(recording: Path) -> None:
    shown = report(recording, "--format", "csv", "--json")
    assert shown.stdout.startswith('{"schema_version"')
    assert shown.stdout.count("\n") == 1


def test_what_cannot_be_written_is_one_line(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shown = report(recording, "--format", "csv", "-o", tmp_path / "file")
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert "cannot be written" in shown.stderr


def test_an_unknown_form_is_wrong_usage(recording: Path) -> None:
    assert report(recording, "--format", "pdf").returncode == 2


@pytest.mark.parametrize(
    ("words", "least_bytes"), [((), FASTER_FROM_BYTES), (("--processes", "3"), SPILLED_BYTES)]
)
@pytest.mark.parametrize("name", ["capture.pcap", "folder/a.pcap", "run/capture-00001.pcap"])
def test_processes_begin_to_start_before_a_capture_that_needs_them_is_opened(
    name: str,
    words: tuple[str, ...],
    least_bytes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = []

    def opened(*_: object, **__: object) -> None:
        done.append("opened")
        raise UsageProblem("that is enough")

    monkeypatch.setattr("loadgen.session.means.workers.cores", lambda: 2)
    monkeypatch.setattr(LocalWorkers, "prepare", lambda _: done.append("prepared"))
    monkeypatch.setattr(run_of_files, "run_of", opened)
    capture = tmp_path / name
    capture.parent.mkdir(exist_ok=True)
    if name.startswith("run"):
        (capture.parent / "run.json").write_text("{}")
        (capture.parent / "report.html").write_text("no packets")
    for size, expected in ((least_bytes - 1, ["opened"]), (least_bytes, ["prepared", "opened"])):
        with capture.open("wb") as file:
            file.truncate(size)  # a hole
        done.clear()
        path = capture if capture.parent == tmp_path else capture.parent
        assert report(path, *words).returncode == 2
        assert done == expected
