"""``loadgen capacity-proof``: what it refuses before anything is started."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from analyzer.capacity.proof.manifest import KEY, to_manifest
from analyzer.recording.directory import RecordingWriter
from loadgen.commands import analyzer as analyzer_script
from loadgen.commands import exit_code_of
from loadgen.commands import loadgen as loadgen_script
from tests.unit.analyzer.capacity.builders_experiment import DIRECTORS, datagrams, experiment, links

if TYPE_CHECKING:
    from pathlib import Path

THREE = ["--hosts", "3", "--link", "1G", "--ingress", "1.5G"]

REFUSED = [
    (["--window", "1.5s"], "--window: expected whole seconds"),
    (["--burst", "2.5"], "--burst: expected at most 2"),
    (["--failures", "3"], "--failures: expected fewer than 3 directors"),
    (["--plan", "minimum", "--vips", "4"], "--plan and --vips: name one of them"),
    (["--failures", "2"], "there is no plan to prove: after 2 losses the one left"),
    (["--vips", "61"], "61 is not in the range"),
]


@pytest.mark.parametrize(("words", "line"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_proven_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadgen", "capacity-proof", *THREE, *words])
    assert exit_code_of(loadgen_script.group) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert line in err.replace("'", "")


def test_a_recorded_proof_is_reported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = RecordingWriter(tmp_path, {KEY: to_manifest(experiment())})
    rates = dict.fromkeys(DIRECTORS, 5.0), {"bal02": 7.5, "bal03": 7.5}
    for name, rows in (("links", links(*rates)), ("datagrams", datagrams())):
        records = rows.astype(object).where(rows.notna(), None).to_dict("records")
        writer.extend(
            name, ({str(column): value for column, value in row.items()} for row in records)
        )
    writer.close("completed")
    monkeypatch.setattr(sys, "argv", ["analyzer", "report", str(tmp_path), "--json"])
    assert exit_code_of(analyzer_script.group) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["holds"] is True
    assert "bal02" in err
    assert (tmp_path / "report.html").is_file()
