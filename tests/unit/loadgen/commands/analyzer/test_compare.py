"""``analyzer compare`` as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit.loadgen.commands.in_process import run_in_process

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SCRIPT = Path(sys.executable).parent / "analyzer"
DATA = Path(__file__).resolve().parents[4] / "data"
WHOLE, KILLED = DATA / "dr-burst-50", DATA / "dr-burst-killed"


def compare(*words: object) -> CompletedProcess[str]:
    return run_in_process("analyzer", "compare", *words)


def test_it_is_a_command_of_the_script(tmp_path: Path) -> None:
    words: list[str | Path] = [SCRIPT, "compare", WHOLE, tmp_path]
    shown = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "run.json" in shown.stderr


def test_two_recordings_become_a_page_and_a_sentence(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shown = compare(WHOLE, KILLED, "-o", page)
    assert shown.returncode == 0, shown.stderr
    *_, verdict, last = shown.stdout.splitlines()
    assert last == f"page: {page}"
    assert verdict.startswith("Against dr-burst-50: dr-burst-killed shows no difference in the")
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_json_alone_is_on_standard_output(tmp_path: Path) -> None:
    shown = compare(WHOLE, KILLED, "-o", tmp_path / "page.html", "--json")
    document = json.loads(shown.stdout)
    assert document["schema_version"] == 1
    assert [run["name"] for run in document["runs"]] == ["dr-burst-50", "dr-burst-killed"]
    assert document["verdict"] in shown.stderr


def test_one_run_is_nothing_to_compare() -> None:
    shown = compare(WHOLE)
    assert shown.returncode == 2
    assert "expected two runs or more" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_what_is_no_recording_is_one_line(tmp_path: Path) -> None:
    shown = compare(WHOLE, tmp_path)
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert "run.json" in shown.stderr
