"""docs/monitoring.md, its alerting rules and its dashboard: all that they name is exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
from ruamel.yaml import YAML

from loadgen.burst.metrics import RequestMetrics
from loadgen.collect.metrics import ViewCollector
from loadgen.director.counters import Counters
from loadgen.live.view import DrainForecast
from tests.unit.loadgen.collect.builders_view import NOW_NS, director, server, view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "monitoring.md").read_text()
ALERTS = DOCS / "monitoring" / "alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "monitoring" / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES: list[dict[str, Any]] = [
    rule
    for group in YAML(typ="safe", pure=True).load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
]
OF_PROMETHEUS = {"up": {"job", "instance"}}
ADDED = {"job", "instance"}
"""Labels that a scrape adds."""

VARIABLE = re.compile(r"\$\{?(\w+)\}?")
OWN_VARIABLES = {"__rate_interval", "labels", "value"}
"""Grafana's and Prometheus's own."""


def families() -> list[Metric]:
    """All that there is to export."""
    forecast = DrainForecast(first_ns=NOW_NS, last_ns=NOW_NS, renewed=0)
    full = replace(director(server(forecast=forecast)), totals=Counters(1, 1, 1, 1, 1))
    collectors = (ViewCollector(lambda: view(full)), RequestMetrics(10, lambda: True, lambda: 3))
    return [family for collector in collectors for family in collector.collect()]


def exported() -> dict[str, set[str]]:
    """Names of samples and their labels."""
    return {
        sample.name: set(sample.labels) for family in families() for sample in family.samples
    } | OF_PROMETHEUS


def selectors(node: object) -> Iterator[promql_parser.VectorSelector]:
    """Every selector of an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        if (inner := getattr(node, name, None)) is not None:
            yield from selectors(inner)
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


def expressions() -> dict[str, str]:
    """Of rules and panels, by their names."""
    of_panels = {
        f"{panel['title']}-{target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in PANELS
        for target in panel["targets"]
    }
    return {rule["alert"]: rule["expr"] for rule in RULES} | of_panels


@pytest.mark.parametrize("name", expressions())
def test_an_expression_uses_what_is_exported(name: str) -> None:
    found = list(selectors(promql_parser.parse(expressions()[name])))
    assert found
    for selector in found:
        assert selector.name is not None
        known = exported()[selector.name] | ADDED
        assert {matcher.name for matcher in selector.matchers.matchers} <= known


@pytest.mark.parametrize("name", expressions())
def test_labels_that_group_and_match_are_those_of_a_metric(name: str) -> None:
    text = expressions()[name]
    grouped = re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", text)
    known = set.union(ADDED, *(exported()[each.name] for each in names_in(text)))
    assert {label for labels in grouped for label in labels.split(", ")} <= known


def names_in(text: str) -> list[Any]:
    return list(selectors(promql_parser.parse(text)))


def test_an_alert_names_labels_that_its_expression_keeps() -> None:
    for rule in RULES:
        summary = rule["annotations"]["summary"]
        known = set.union(ADDED, *(exported()[each.name] for each in names_in(rule["expr"])))
        assert set(re.findall(r"\$labels\.(\w+)", summary)) <= known
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (\w+) \|", PAGE.replace("| |", "|  |"), re.M)
    backend = exported()["node_ipvs_backend_connections_weight"]
    listed = {
        name: (
            kind,
            set(re.findall(r"`(\w+)`", labels)) | (backend if "BACKEND" in labels else set()),
        )
        for name, labels, kind in rows
    }
    made = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels},
        )
        for family in families()
    }
    assert listed == made


def test_the_dashboard_reads_from_the_data_source_that_is_chosen() -> None:
    sources = [panel["datasource"] for panel in PANELS]
    sources += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    assert sources
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in sources)


def test_the_dashboard_defines_the_variables_that_it_uses() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(VARIABLE.findall(json.dumps(PANELS))) - OWN_VARIABLES == defined


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian: prometheus)")
def test_each_rule_fires_when_it_should(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    answer = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_each_rule_has_a_test() -> None:
    tests = YAML(typ="safe", pure=True).load(
        Path(__file__).with_name("alerts_test.yml").read_text()
    )
    tested = {
        case["alertname"]
        for test in tests["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert tested == {rule["alert"] for rule in RULES}
