"""A manifest is taken whole or refused in one line that says where and never what."""

from __future__ import annotations

import json
import shutil
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.errors import RecordingError
from analyzer.recording.directory import Recording
from analyzer.recording.ending import ending_of
from analyzer.recording.manifest import Manifest, manifest_of
from analyzer.recording.manifest.bounds import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path("tests/data")
RUNS = ("dr-burst-50", "dr-burst-killed", "dr-failover")
ODD: tuple[Any, ...] = (
    *("", "secret", [], {}, -1, 1e308, True, False, None, 2**70, -(2**70), 0, 10**15),
    *(float("nan"), float("inf"), [[]], {"secret": {"secret": 1}}, ["secret"], [None], [-1], 0.5),
)
HARMLESS: tuple[Any, ...] = (0, 10**8, "", {})  # what many keys take


@cache
def document(run: str) -> str:
    return (DATA / run / "run.json").read_text()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every leaf and every subtree."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def spoilt(run: str, path: tuple[Any, ...], odd: Any) -> Any:
    whole = json.loads(document(run))
    holder = whole
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = odd
    return whole


def known(run: str) -> list[tuple[Any, ...]]:
    return list(places(json.loads(document(run))))


@pytest.mark.parametrize("run", RUNS)
def test_any_odd_value_anywhere_is_taken_or_is_one_line_that_does_not_show_it(run: str) -> None:
    refused = 0
    for path in known(run):
        for odd in ODD:
            try:
                manifest = manifest_of(spoilt(run, path, odd), "there/run.json")
            except RecordingError as error:
                refused += 1
                line = str(error)
                assert line.startswith("there/run.json: ")
                assert "\n" not in line
                assert not {"secret", "1e+308", str(2**70)} & set(line.split())
            else:
                assert len(ending_of(manifest).text) < 400
    assert refused > len(known(run))


def used() -> list[tuple[tuple[Any, ...], Any]]:
    """The places and odd values that a manifest is still taken with, one each of a kind."""
    found: dict[str, tuple[tuple[Any, ...], Any]] = {}
    for path in known("dr-burst-50"):
        if path[:2] == ("directors", "bal02") or path[0] in ("schema_version", "command_line"):
            continue
        for odd in HARMLESS:
            try:
                manifest = manifest_of(spoilt("dr-burst-50", path, odd))
            except RecordingError:
                continue
            shown = repr(Manifest(**{**fields(manifest), "raw": {}}))
            found.setdefault(shown, (path, odd))
    return list(found.values())


def fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}


@pytest.mark.parametrize(("path", "odd"), used(), ids=str)
def test_what_is_taken_is_analysed(tmp_path: Path, path: tuple[Any, ...], odd: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(DATA / "dr-burst-50", run)
    (run / "capture.pcap").unlink()
    (run / "run.json").write_text(json.dumps(spoilt("dr-burst-50", path, odd)))
    assert analyse(Recording.open(run)).verdict


@pytest.mark.parametrize(
    ("odd", "line"),
    [
        (
            {"directors": {"lb": {"hz": "secret"}}},
            "directors[...].hz: expected int | null, got str",
        ),
        ({"directors": ["lb"]}, "directors: expected object, got array"),
        ({"started_at_ns": -5}, "started_at_ns: expected int >= 0"),
        ({"ended_at_ns": 2**64}, "ended_at_ns: expected int <= 4611686018427387904"),
        ({"service": {"vip": "secret", "port": 80}}, "service: expected an IP address as vip"),
        ({"service": {"vip": "::1"}}, "service: object missing required field port"),
        (
            {"plan": {"arrivals": {"stages": [{"duration_s": 1.0, "rate_per_s": float("nan")}]}}},
            "plan.arrivals.stages[0].rate_per_s: expected float >= 0.0",
        ),
        (
            {"services": [{"vip": "::1", "port": 80}] * 257},
            "services: expected array of length <= 256",
        ),
        ({"ended": ["completed"]}, "ended: expected str | null, got array"),
        ([], "expected object, got array"),
        ("secret", "expected object, got str"),
    ],
)
def test_the_line_says_where_and_what_was_expected(odd: Any, line: str) -> None:
    with pytest.raises(RecordingError) as caught:
        manifest_of(odd)
    assert str(caught.value) == f"run.json: {line}"


def test_null_is_what_a_missing_key_is() -> None:
    nulls = dict.fromkeys(name for name in fields(Manifest()) if name != "raw")
    assert fields(manifest_of(nulls)) == fields(Manifest()) | {"raw": nulls}
    facts = {"directors": {"lb": {"hz": None, "sysctl": {"conntrack": None}, "macs": None}}}
    assert manifest_of(facts).directors == manifest_of({"directors": {"lb": {}}}).directors


def test_keys_that_no_type_has_are_kept_as_they_are() -> None:
    more = {"notes": [None, {"x": float("inf")}], "raw": "mine", "plan": {"mine": 2**70}}
    assert manifest_of(more).raw == more
    assert manifest_of(more).plan == Manifest().plan


def test_half_a_character_is_no_text() -> None:
    found = manifest_of({"lab": "a\ud800", "directors": {"b\ud800": {"link": "\ud800"}}})
    assert (found.lab, found.raw["lab"]) == ("a?", "a?")
    assert list(found.directors) == list(found.raw["directors"]) == ["b?"]


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(RecordingError, match=r"^run\.json: expected a JSON object of some levels$"):
        manifest_of(deep)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*fields(Manifest()), *dict.fromkeys(chain(*known(RUNS[2])))]).map(
                    str
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_taken_or_refused(value: Any) -> None:
    line = ""
    try:
        ending_of(manifest_of(value))
    except RecordingError as error:
        line = str(error)
    assert "\n" not in line


def test_texts_are_cut_as_those_of_the_tables_are() -> None:
    name = "n" * (MAX_TEXT + 1)
    manifest = manifest_of({"command": name, "directors": {name: {}}, "x": [name]})
    assert manifest.command == "n" * MAX_TEXT
    assert list(manifest.directors) == ["n" * MAX_TEXT]
    assert manifest.raw["x"] == ["n" * MAX_TEXT]
