"""The published schema is true of what is printed, and of nothing that is not."""

from __future__ import annotations

import copy
import json
import re
import shutil
from dataclasses import fields, replace
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from analyzer import documents
from analyzer.analysis import analyse
from analyzer.health import checks
from analyzer.health.document import to_json as health_to_json
from analyzer.ipvs.ipvsadm import ParsedDocument, parse
from analyzer.recording.directory import Recording
from analyzer.recording.manifest import manifest_of
from analyzer.report import Report, to_json
from analyzer.schema import DIALECT, DOCUMENTS, schema_of
from analyzer.sweep.points import sweep_of
from loadgen.commands.analyzer import group
from loadgen.commands.analyzer.schema import NAMES
from tests.importing import import_folder
from tests.unit.analyzer.test_health import OTHER, WELL

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path("tests/data")
TYPES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
    "array": list,
    "object": dict,
}
KNOWN = frozenset(
    {"$ref", "type", "enum", "const", "anyOf", "items", "properties", "required"}
    | {"additionalProperties", "description", "$schema", "title", "$defs", "prefixItems"}
    | {"minItems", "maxItems", "minimum", "maximum", "propertyNames", "pattern"}
)


def wrong(value: Any, schema: Any, root: Any, at: str = "$") -> Iterator[str]:
    """Where a value is not what a schema says, in the subset of JSON Schema that is used here.

    Keys that the schema does not know are wrong, too, though the schema itself lets them be.
    """
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        yield from wrong(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema and all(any(wrong(value, one, root)) for one in schema["anyOf"]):
        yield f"{at}: none of the choices"
    types = schema.get("type", [])
    kinds = [TYPES[name] for name in ([types] if isinstance(types, str) else types)]
    is_truth = isinstance(value, bool) and bool not in kinds
    if kinds and (is_truth or not isinstance(value, tuple(_flat(kinds)))):
        yield f"{at}: {value!r} is no {types}"
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: {value!r}"
    if isinstance(value, int | float | str) and not _is_allowed(value, schema):
        yield f"{at}: {value!r} is out of range"
    if isinstance(value, list):
        yield from _wrong_items(value, schema, root, at)
    if isinstance(value, dict) and "anyOf" not in schema and "$ref" not in schema:
        yield from _wrong_keys(value, schema, root, at)


def _is_allowed(value: float | str, schema: Any) -> bool:
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _wrong_items(value: list[Any], schema: Any, root: Any, at: str) -> Iterator[str]:
    n = len(value)
    if not schema.get("minItems", n) <= n <= schema.get("maxItems", n):
        yield f"{at}: {n} items"
    first = schema.get("prefixItems", [])
    rest = repeat(schema.get("items") or {})
    for number, (each, inner) in enumerate(zip(value, chain(first, rest), strict=False)):
        yield from wrong(each, inner, root, f"{at}[{number}]")


def _flat(kinds: list[Any]) -> Iterator[type]:
    for kind in kinds:
        yield from kind if isinstance(kind, tuple) else (kind,)


def _wrong_keys(value: dict[str, Any], schema: Any, root: Any, at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{at}: no {key}" for key in schema.get("required", []) if key not in value)
    for key, each in value.items():
        yield from wrong(key, schema.get("propertyNames", {}), root, f"{at}: {key}")
        if key in known or "additionalProperties" in schema:
            inner = known.get(key, schema.get("additionalProperties"))
            yield from wrong(each, inner, root, f"{at}.{key}")
        else:
            yield f"{at}: {key} is not in the schema"


def holds(document: Any, command: str) -> None:
    plain = json.loads(json.dumps(document, allow_nan=False))
    schema = schema_of(command)
    assert list(wrong(plain, schema, schema)) == []


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return to_json(analyse(Recording.open(DATA / "dr-burst-50")))


def test_a_report_is_as_published(report: dict[str, Any]) -> None:
    assert len(report["lifetimes"]) > 0
    holds(report, "report")


def test_a_report_on_a_capture_and_a_log_is_as_published(tmp_path: Path) -> None:
    import_folder([DATA / "ground-truth" / "nat-client-close-tcpfin10"], tmp_path / "run")
    holds(to_json(analyse(Recording.open(tmp_path / "run"))), "report")


def test_a_sweep_is_as_published() -> None:
    found = analyse(Recording.open(DATA / "dr-burst-50"))
    manifest = manifest_of({**found.manifest.raw, "plan": {"close": {"client": 1.0}}})
    sweep = sweep_of("sweep", [(20, found), (30, replace(found, manifest=manifest))])
    document = json.loads(json.dumps(documents.to_json(sweep)))
    assert document["points"][0]["peak_inactive"] is None
    assert document["points"][1]["peak_inactive"]["agrees"] is True
    holds(document, "sweep")


def test_a_verified_director_is_as_published() -> None:
    holds(json.loads(json.dumps(health_to_json(checks([WELL, OTHER], None), [WELL]))), "verify")


TEXTS = sorted((DATA / "texts").glob("*.txt"))


@pytest.mark.parametrize("path", TEXTS, ids=[path.stem for path in TEXTS])
def test_a_parsed_text_is_as_published(path: Path) -> None:
    holds(documents.to_json(parse(path.read_text(errors="replace")), ParsedDocument), "parse")


@given(st.text(max_size=80))
def test_any_text_is_as_published(text: str) -> None:
    holds(documents.to_json(parse(text), ParsedDocument), "parse")


BURST = str(DATA / "dr-burst-50")
PRINTED = {
    "predict": (
        ["--rate", "2000"],
        ["--rate", "5", "--arrivals", "poisson", "--close", "client=70,half=30", "-z", "60"],
        ["--rate", "5", "--protocol", "udp"],
    ),
    "check": (
        [BURST, "--expect", "tcpfin=20±1s", "--expect", "inactive_peak<=1"],
        [BURST, "--baseline", str(DATA / "dr-burst-killed")],
    ),
    "capacity": (
        ["--hosts", "3", "--link", "1G", "--ingress", "1.5G", "--failures", "1"],
        ["--hosts", "2", "--link", "1G", "--ingress", "9G", "--failures", "2"],
    ),
}


@pytest.mark.parametrize(
    ("command", "options"), [(name, each) for name, many in PRINTED.items() for each in many]
)
def test_what_a_command_prints_is_as_published(command: str, options: list[str]) -> None:
    result = CliRunner().invoke(group, [command, *options, "--json"])
    assert result.exit_code in (0, 99), result.output
    holds(json.loads(result.stdout), command)


@pytest.mark.parametrize("odd_name", ["run", "odd \N{RIGHT-TO-LEFT MARK}|<b>", "\udce9"])
def test_runs_side_by_side_and_in_a_folder_are_as_published(tmp_path: Path, odd_name: str) -> None:
    runs = [tmp_path / odd_name, tmp_path / "dr-burst-killed"]
    for run, name in zip(runs, ("dr-burst-50", "dr-burst-killed"), strict=True):
        shutil.copytree(DATA / name, run)
    (tmp_path / "no-run").mkdir()
    for command, words in (("compare", [str(run) for run in runs]), ("history", [str(tmp_path)])):
        result = CliRunner().invoke(group, [command, *words, "--json"])
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert [run["name"] for run in document["runs"]] == [run.name for run in runs]
        holds(document, command)


@pytest.mark.parametrize("command", NAMES)
def test_the_command_prints_the_schema_and_every_reference_in_it_is_defined(command: str) -> None:
    result = CliRunner().invoke(group, ["schema", command])
    schema = json.loads(result.stdout)
    assert (schema, schema["$schema"]) == (schema_of(command), DIALECT)
    for reference in result.stdout.split("#/$defs/")[1:]:
        assert reference.partition('"')[0] in schema["$defs"]
    assert schema["properties"]["schema_version"] == {"const": 1}
    assert list(NAMES) == list(DOCUMENTS)


def test_the_command_prints_the_schema_of_the_report_by_default() -> None:
    result = CliRunner().invoke(group, ["schema"])
    assert set(json.loads(result.stdout)["required"]) == {field.name for field in fields(Report)}


STATUS = {"entries": 1, "buckets": 8, "lfactor": 0, "empty_buckets": 7, "chains": {"1": 1}}


def test_a_table_status_is_as_published(report: dict[str, Any]) -> None:
    holds(report | {"tables": [report["tables"][0] | {"fullest": STATUS}]}, "report")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), None),
        (("requests", "sent"), "50"),
        (("requests", "sent"), True),
        (("lifetimes", 0, "counted"), "idle"),
        (("lifetimes", 0, "lifetime_s"), {"mean": 1.0}),
        (("findings", 0, "colour"), "red"),
        (("tables", 0, "fullest"), STATUS | {"entries": -1}),
        (("tables", 0, "fullest"), STATUS | {"chains": {"9": 1}}),
        (("schema_version",), 2),
    ],
)
def test_what_is_not_as_published_is_seen(
    report: dict[str, Any], path: tuple[Any, ...], value: Any
) -> None:
    document = copy.deepcopy(json.loads(json.dumps(report)))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    schema = schema_of("report")
    assert list(wrong(document, schema, schema)) != []
