"""The document of ``analyzer compare --json``."""

from __future__ import annotations

import json
from dataclasses import asdict

from analyzer.across_runs.compare import compare
from analyzer.across_runs.document import to_json
from tests.unit.analyzer.across_runs.test_compare import other
from tests.unit.reports import builders_analysis as build


def test_the_document_has_each_run_setting_and_difference() -> None:
    comparison = compare([build.demo(), other(), build.demo()])
    document = json.loads(json.dumps(to_json(comparison), allow_nan=False))
    first, second, third = (run["name"] for run in document["runs"])
    assert document["verdict"] == comparison.verdict
    assert document["settings"] == [
        {"what": row.what, "values": dict(zip((first, second, third), row.values, strict=True))}
        for row in comparison.settings
    ]
    assert document["differences"] == [
        {"run": run, "against": first} | asdict(difference)
        for run, differences in zip((second, third), comparison.against_first, strict=True)
        for difference in differences
    ]
    row = document["differences"][0]
    assert (row["run"], row["quantity"], row["unit"]) == ("other", "timeout(FIN_WAIT)", "s")
    assert row["low"] < row["difference"] < row["high"] < 0
