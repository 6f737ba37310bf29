"""The document that ``--json`` prints: outsiders rely on its keys."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analyzer.client.results import Latency, Requests
from analyzer.recording.manifest import manifest_of
from analyzer.report import Analysis, Timeline, to_json
from analyzer.results import (
    Agreement,
    EndedEarly,
    ErrorSpread,
    Estimate,
    Finding,
    Lifetime,
    NotMeasured,
    Peak,
    Spread,
)

LATENCY = Latency(p50=1.0, p90=2.0, p99=3.0, max=4.0)
EMPTY = np.zeros(0)
ANALYSIS = Analysis(
    run="runs/1",
    verdict="All is well.",
    timings_s={"read": 0.1, "replay": 0.2, "total": 0.3},
    requests=Requests(
        sent=1,
        succeeded=1,
        failed=0,
        late=0,
        duration_s=1.0,
        rate_per_s=1.0,
        connect_ms=LATENCY,
        first_byte_ms=LATENCY,
        total_ms=None,
    ),
    peaks=(
        Peak(director="bal01", active=0, inactive=25),
        Peak(director=None, active=0, inactive=25),
    ),
    lifetimes=(
        Lifetime(
            director="bal01",
            state="FIN_WAIT",
            counted="inactive",
            timeout_name="tcpfin",
            timeout_s=20.0,
            n=2,
            n_expired=1,
            lifetime_s=Spread(mean=20.3, min=20.0, max=20.6, uncertainty=0.1),
            timeout_measured_s=Estimate(value=20.0, uncertainty=0.1),
            granule_s=0.64,
            prediction_error_s=ErrorSpread(mean=-0.01, max=0.1),
        ),
    ),
    ended_early=(EndedEarly(director="bal01", state="CLOSE", cause="port-reuse", n=1),),
    agreement=(
        Agreement(
            director="bal01",
            entries_observed=1,
            entries_predicted=1,
            state_matches=1,
            state_samples=1,
            active_max_error=0,
            inactive_max_error=0,
            worst_expiry_error_s=0.1,
            disagreement_polls=0,
            residuals={"poll": 50},
        ),
    ),
    findings=(Finding(id="a", severity="info", title="b", evidence="c", advice="d"),),
    failover=None,
    not_measured=(NotMeasured(what="packets", why="--no-capture"),),
    timeline=Timeline(
        zero_ns=0,
        end_s=1.0,
        request_ended_s=EMPTY,
        request_failed=EMPTY.astype(bool),
        connect_ms=EMPTY,
        first_byte_ms=EMPTY,
        total_ms=EMPTY,
        marks={},
        observed=(),
        predicted=(),
        events=(),
        peaks=(),
    ),
    manifest=manifest_of({"plan": {}}),
)

# What outsiders may rely on: at least these keys.
CONTRACT: dict[str, set[str]] = {
    "": {
        "schema_version",
        "run",
        "verdict",
        "timings_s",
        "requests",
        "peaks",
        "lifetimes",
        "ended_early",
        "agreement",
        "findings",
        "failover",
        "not_measured",
    },
    "timings_s": {"read", "replay", "total"},
    "requests": {
        "sent",
        "succeeded",
        "failed",
        "late",
        "duration_s",
        "rate_per_s",
        "connect_ms",
        "first_byte_ms",
        "total_ms",
    },
    "requests.connect_ms": {"p50", "p90", "p99", "max"},
    "peaks": {"director", "active", "inactive"},
    "lifetimes": {
        "director",
        "state",
        "counted",
        "timeout_name",
        "timeout_s",
        "n",
        "n_expired",
        "lifetime_s",
        "granule_s",
        "prediction_error_s",
    },
    "lifetimes.lifetime_s": {"mean", "min", "max", "uncertainty"},
    "lifetimes.prediction_error_s": {"mean", "max"},
    "ended_early": {"director", "state", "cause", "n"},
    "agreement": {
        "director",
        "entries_observed",
        "entries_predicted",
        "state_matches",
        "state_samples",
        "active_max_error",
        "inactive_max_error",
        "worst_expiry_error_s",
    },
    "findings": {"id", "severity", "title", "evidence", "advice"},
    "not_measured": {"what", "why"},
}


def at(document: Any, path: str) -> Any:
    """What stands at a dotted path; of a list its first row."""
    for name in filter(None, path.split(".")):
        document = document[name]
        document = document[0] if isinstance(document, list) else document
    return document


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: path or "the document")
def test_the_contracts_keys_are_there(path: str) -> None:
    assert CONTRACT[path] <= set(at(to_json(ANALYSIS), path))


def test_the_document_is_plain_json_that_comes_back_as_it_went() -> None:
    document = to_json(ANALYSIS)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema_version"] == 1


def test_the_curves_and_the_manifest_are_not_in_it() -> None:
    assert not {"timeline", "manifest"} & set(to_json(ANALYSIS))


def test_what_was_not_measured_is_null() -> None:
    (row,) = ANALYSIS.lifetimes
    unknown = replace(row, lifetime_s=None, timeout_s=None, prediction_error_s=None)
    document = to_json(replace(ANALYSIS, lifetimes=(unknown,)))
    assert document["lifetimes"][0]["lifetime_s"] is None
    assert document["lifetimes"][0]["timeout_s"] is None
    assert document["requests"]["total_ms"] is None
    assert document["failover"] is None
