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
from loadgen.importing.folder import import_folder
from reports.charts.wording import LATENCIES, milliseconds, seconds, share

DATA = Path(__file__).parents[2] / "data"
RUNS = ("dr-burst-50", "dr-burst-killed", "nat-client-close-tcpfin10", "dr-client-reset")


@dataclass(frozen=True)
class Told:
    """What one ``analyzer report --json`` left behind: three tellings of one run."""

    page: str  # its text, tags and scripts left out
    terminal: str
    json: dict[str, Any]


@pytest.fixture(scope="module", params=RUNS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    run = tmp_path_factory.mktemp("told") / "run"
    if request.param.startswith("dr-burst"):
        shutil.copytree(DATA / request.param, run)
    else:
        import_folder([DATA / "ground-truth" / request.param], run)
    result = CliRunner().invoke(report, [str(run), "--json"])
    assert result.exit_code == 0, result.output
    html = (run / "report.html").read_text("utf-8")
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return Told(
        page=_words(unescape(re.sub(r"<[^>]*>", " ", body))),
        terminal=_words(result.stderr),
        json=json.loads(result.stdout),
    )


def _words(text: str) -> str:
    return " ".join(text.split())


def test_the_verdict(told: Told) -> None:
    assert _words(told.json["verdict"]) in told.page
    assert _words(told.json["verdict"]) in told.terminal


def test_the_peaks(told: Told) -> None:
    total = next(peak for peak in told.json["peaks"] if peak["director"] is None)
    assert f"Peak InActConn {total['inactive']} " in told.page
    for peak in told.json["peaks"]:
        if peak["director"] is not None:
            table = told.terminal.partition(f"{peak['director']} at its peak")[2]
            rows = re.findall(r"-> \S+ +\w+ +\d+ +\d+ +(\d+)", table.partition("at its peak")[0])
            assert sum(map(int, rows)) == peak["inactive"]


def test_the_requests(told: Told) -> None:
    requests = told.json["requests"]
    if not requests["sent"]:
        assert "No requests" in told.page
        assert "No requests" in told.terminal
        return
    numbers = ", ".join(f"{requests[name]} {name}" for name in ("succeeded", "failed", "late"))
    assert numbers in told.page
    assert numbers in told.terminal
    trouble = share(requests["failed"] + requests["late"], requests["sent"])
    assert f"Requests failed or late {trouble} " in told.page


def test_the_latencies(told: Told) -> None:
    for name, key in LATENCIES:
        found = told.json["requests"][key]
        if found is None:
            continue
        n = told.json["requests"]["sent"]
        row = [milliseconds(found["p50"]), milliseconds(found["p90"])]
        row += [milliseconds(found["p99"]) if n >= 100 else "too few", milliseconds(found["max"])]
        assert _words(f"{name} {' '.join(row)}") in told.terminal
        row = [cell for cell in row if cell != "too few"]
        told_rows = re.findall(
            rf"\b{name}\b[^\d]{{0,40}}((?:[\d.]+ )+)", told.page.replace("too few ", "")
        )
        assert any({*row} <= {*numbers.split()} for numbers in told_rows)


def test_the_lifetimes(told: Told) -> None:
    main_row = max(
        (row for row in told.json["lifetimes"] if row["lifetime_s"]),
        key=lambda row: row["n_expired"],
        default=None,
    )
    if main_row is None:
        assert "Lifetime of an entry not measured" in told.page
        return
    mean = main_row["lifetime_s"]["mean"]
    assert f"Lifetime of an entry {seconds(mean)} " in told.page
    assert f"{mean:.1f} s" in told.terminal
    assert f"{main_row['n_expired']} of {main_row['n']}" in told.page


def test_the_findings(told: Told) -> None:
    for finding in told.json["findings"]:
        assert _words(finding["title"]) in told.page
        assert _words(finding["evidence"]) in told.page
        if finding["severity"] != "info":
            line = f"{finding['severity']}: {finding['title']} ({finding['id']})"
            assert _words(line) in told.terminal


def test_what_was_not_measured(told: Told) -> None:
    for missing in told.json["not_measured"]:
        assert _words(f"{missing['what']} {missing['why']}") in told.page
