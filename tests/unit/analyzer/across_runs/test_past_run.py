"""What one run of a folder measured."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.across_runs.past_run import past_run
from analyzer.errors import RecordingError
from analyzer.recording.manifest import manifest_of
from analyzer.report import to_json as analysis_json
from tests.unit.reports import builders_analysis as build


def test_a_run_is_read_from_its_own_document() -> None:
    analysis = build.demo()
    found = past_run(
        "x",
        manifest_of({"started_at_ns": 7, "plan": {"n": 1}, "ended": "completed"}),
        analysis_json(analysis),
    )
    (row,) = analysis.lifetimes
    assert row.timeout_measured_s
    assert found.values["timeout(FIN_WAIT)"].value == row.timeout_measured_s.value
    assert found.values["failed"].whole == analysis.requests.sent
    assert (found.row.started_at_ns, found.load) == (7, '{"n": 1}')
    assert {"connect_p50", "inactive_peak"} <= set(found.values)


def test_a_short_burst_has_no_rate_and_few_requests_no_99th_percentile() -> None:
    document = analysis_json(build.demo())
    few = past_run("x", manifest_of({"ended": "completed"}), document)
    assert not {"rate_per_s", "total_p99"} & set(few.values)
    requests = document["requests"] | {"sent": 5000, "duration_s": 10.0, "rate_per_s": 500.0}
    many = past_run("x", manifest_of({"ended": "completed"}), document | {"requests": requests})
    assert {"rate_per_s", "total_p99"} <= set(many.values)


def test_what_was_not_measured_is_not_there() -> None:
    found = past_run("x", manifest_of({}), analysis_json(build.nothing()))
    assert not any(name.startswith(("timeout", "connect", "failed")) for name in found.values)


@pytest.mark.parametrize(
    "document",
    [{}, {"verdict": 1}, {"verdict": "", "lifetimes": 3}, {"verdict": "", "lifetimes": [[]]}],
)
def test_a_document_that_is_none_is_our_own_error(document: dict[str, Any]) -> None:
    with pytest.raises(RecordingError, match="its analysis is not one"):
        past_run("x", manifest_of({}), document)
