"""``analyzer parse``: where it reads, what it prints where, how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.errors import ParseError
from loadgen.commands.analyzer import parse as module
from loadgen.commands.analyzer.parse import parse

TEXTS = Path(__file__).parents[2] / "data" / "texts"
TABLE = TEXTS / "ipvsadm-Ln.txt"


def test_a_file_and_standard_input_are_the_same() -> None:
    from_file = CliRunner().invoke(parse, [str(TABLE), "--json"])
    from_pipe = CliRunner().invoke(parse, ["--json"], input=TABLE.read_bytes())
    from_dash = CliRunner().invoke(parse, ["-", "--json"], input=TABLE.read_bytes())
    assert from_file.exit_code == 0
    assert from_file.stdout == from_pipe.stdout == from_dash.stdout
    document = json.loads(from_file.stdout)
    assert document["schema_version"] == 1
    assert len(document["services"]) == 12


def test_one_line_of_json_and_nothing_else() -> None:
    """Doubts are in the document, and not on standard error."""
    result = CliRunner().invoke(parse, [str(TEXTS / "ip_vs.txt"), "--json"])
    assert len(result.stdout.splitlines()) == 1
    assert len(json.loads(result.stdout)["warnings"]) == 6
    assert result.stderr == ""


def test_hz_turns_jiffies_into_seconds() -> None:
    arguments = [str(TEXTS / "ip_vs.txt"), "--json", "--hz", "100"]
    document = json.loads(CliRunner().invoke(parse, arguments).stdout)
    assert document["warnings"] == []
    assert {one["persistent_s"] for one in document["services"]} == {None, 30, 60, 300, 360, 600}


def test_nothing_understood_ends_with_2_after_the_document() -> None:
    result = CliRunner().invoke(parse, ["--json"], input="nothing to see here\n")
    assert isinstance(result.exception, ParseError)  # the script makes it a line and a 2
    assert result.exception.exit_code == 2
    assert "standard input" in str(result.exception)
    assert json.loads(result.stdout)["warnings"] == [
        "nothing in this text was understood",
        "line 1: 'nothing to see here' was not understood",
    ]


def test_an_error_text_is_understood() -> None:
    result = CliRunner().invoke(parse, ["--json"], input="Memory allocation problem\n")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["error"] == "Memory allocation problem"


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(parse, [str(tmp_path / "missing")])
    assert result.exit_code == 2


def test_reading_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1024**2)
    given = b"TCP  10.0.0.1:80 rr\n" + b"\n" * 2 * 1024**2
    result = CliRunner().invoke(parse, ["--json"], input=given)
    assert json.loads(result.stdout)["warnings"] == ["only the first 1 MiB were read"]


@pytest.mark.parametrize("file", sorted(TEXTS.glob("*.txt")), ids=lambda file: file.stem)
def test_tables_for_people(file: Path) -> None:
    """Every address is shown, doubts go to standard error."""
    result = CliRunner().invoke(parse, [str(file)])
    document = json.loads(CliRunner().invoke(parse, [str(file), "--json"]).stdout)
    assert result.exit_code == 0
    for service in document["services"]:
        for server in service["destinations"]:
            assert server["address"] in result.stdout
    for entry in document["connections"]:
        assert entry["source"]["address"] in result.stdout
    assert result.stderr.count("warning: ") == len(document["warnings"])
    assert result.stdout.strip()
