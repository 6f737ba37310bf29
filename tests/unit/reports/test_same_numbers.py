"""The page, the terminal and ``--json`` say the same numbers of the same run."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loadgen.commands.analyzer.report import report
from reports.charts.wording import LATENCIES, milliseconds, seconds, share
from tests.importing import import_folder

DATA = Path(__file__).parents[2] / "data"
RUNS = ("dr-burst-50", "dr-burst-killed", "nat-client-close-tcpfin10", "dr-client-reset")


@dataclass(frozen=True)
class Outputs:
    """What one ``analyzer report --json`` left behind: three tellings of one run."""

    page: str  # its text, tags and scripts left out
    terminal: str
    json: dict[str, Any]


@pytest.fixture(scope="module", params=RUNS)
def outputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    run = tmp_path_factory.mktemp("run") / "run"
    if request.param.startswith("dr-burst"):
        shutil.copytree(DATA / request.param, run)
    else:
        import_folder([DATA / "ground-truth" / request.param], run)
    result = CliRunner().invoke(report, [str(run), "--json"])
    assert result.exit_code == 0, result.output
    html = (run / "report.html").read_text("utf-8")
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return Outputs(
        page=_words(unescape(re.sub(r"<[^>]*>", " ", body))),
        terminal=_words(result.stderr),
        json=json.loads(result.stdout),
    )


def _words(text: str) -> str:
    return " ".join(text.split())


def test_the_verdict(outputs: Outputs) -> None:
    assert _words(outputs.json["verdict"]) in outputs.page
    assert _words(outputs.json["verdict"]) in outputs.terminal


def test_the_peaks(outputs: Outputs) -> None:
    total = next(peak for peak in outputs.json["peaks"] if peak["director"] is None)
    assert f"Peak InActConn {total['inactive']} " in outputs.page
    for peak in outputs.json["peaks"]:
        if peak["director"] is not None:
            table = outputs.terminal.partition(f"{peak['director']} at its peak")[2]
            rows = re.findall(r"-> \S+ +\w+ +\d+ +\d+ +(\d+)", table.partition("at its peak")[0])
            assert sum(map(int, rows)) == peak["inactive"]


def test_the_requests(outputs: Outputs) -> None:
    requests = outputs.json["requests"]
    if not requests["sent"]:
        assert "No requests" in outputs.page
        assert "No requests" in outputs.terminal
        return
    numbers = ", ".join(f"{requests[name]} {name}" for name in ("succeeded", "failed", "late"))
    assert numbers in outputs.page
    assert numbers in outputs.terminal
    trouble = share(requests["failed"] + requests["late"], requests["sent"])
    assert f"Requests failed or late {trouble} " in outputs.page


def test_the_latencies(outputs: Outputs) -> None:
    for name, key in LATENCIES:
        found = outputs.json["requests"][key]
        if found is None:
            continue
        n = outputs.json["requests"]["sent"]
        row = [milliseconds(found["p50"]), milliseconds(found["p90"])]
        row += [milliseconds(found["p99"]) if n >= 100 else "too few", milliseconds(found["max"])]
        assert _words(f"{name} {' '.join(row)}") in outputs.terminal
        row = [cell for cell in row if cell != "too few"]
        shown_rows = re.findall(
            rf"\b{name}\b[^\d]{{0,40}}((?:[\d.]+ )+)", outputs.page.replace("too few ", "")
        )
        assert any({*row} <= {*numbers.split()} for numbers in shown_rows)


def test_the_lifetimes(outputs: Outputs) -> None:
    main_row = max(
        (row for row in outputs.json["lifetimes"] if row["lifetime_s"]),
        key=lambda row: row["n_expired"],
        default=None,
    )
    if main_row is None:
        assert "Lifetime of an entry not measured" in outputs.page
        return
    mean = main_row["lifetime_s"]["mean"]
    assert f"Lifetime of an entry {seconds(mean)} " in outputs.page
    assert f"{mean:.1f} s" in outputs.terminal
    assert f"{main_row['n_expired']} of {main_row['n']}" in outputs.page


def test_the_findings(outputs: Outputs) -> None:
    for finding in outputs.json["findings"]:
        assert _words(finding["title"]) in outputs.page
        assert _words(finding["evidence"]) in outputs.page
        if finding["severity"] != "info":
            line = f"{finding['severity']}: {finding['title']} ({finding['id']})"
            assert _words(line) in outputs.terminal


def test_what_was_not_measured(outputs: Outputs) -> None:
    for missing in outputs.json["not_measured"]:
        assert _words(f"{missing['what']} {missing['why']}") in outputs.page
