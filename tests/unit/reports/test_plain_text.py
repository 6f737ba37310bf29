"""Texts of unknown origin are one line that steers neither a terminal nor a pipeline."""

from __future__ import annotations

import json

import pytest

from analyzer.documents import as_text
from reports.plain_text import log_line, printable

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x9b2Jclear",
    "title\x1b]0;pwned\x07",
    "line\nforged",
    "back\r\x08\x7f",
    "\u202egnp.exe\u2066",
    "para\u2028graph\x85",
    "half \ud800 pair",
    "zero\u200bwidth\ufeff",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_printable_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode()
    assert "\\" in shown
    assert printable(shown) == shown


def test_a_harmless_text_stays_as_it_is() -> None:
    assert printable("bal01 → 12 ± 3 ms, größer: [::1]:80") == "bal01 → 12 ± 3 ms, größer: [::1]:80"


def test_a_blank_of_another_kind_is_a_blank() -> None:
    assert printable("1\u00a0000") == "1 000"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::stop-commands::x", r"\x3a:stop-commands::x"),
        ("  ::add-mask::x", r"  \x3a:add-mask::x"),
        ("bal01 ##[set-env name=A]b", r"bal01 #\x23[set-env name=A]b"),
        ("##vso[task.complete]", r"#\x23vso[task.complete]"),
        ("bal01::1 ok", "bal01::1 ok"),
        ("# a comment", "# a comment"),
    ],
)
def test_no_pipeline_takes_a_line_for_a_command(text: str, shown: str) -> None:
    assert log_line(text) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_json_steers_no_terminal_and_reads_back(text: str) -> None:
    shown = as_text({text: [text]})
    assert shown.isprintable()
    assert json.loads(shown) == {text: [text]}
