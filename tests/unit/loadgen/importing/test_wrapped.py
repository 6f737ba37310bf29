"""Entries that a terminal broke at its width, as people copy them out of it."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.importing.printed import from_printed
from loadgen.importing.wrapped import unwrapped

HEAD = (
    "IPVS connection entries\n"
    "pro expire state       source             virtual            destination\n"
)
LINES = (
    "TCP 14:59  ESTABLISHED 10.0.9.9:41000     10.0.0.50:5432     10.0.1.4:5432",
    "UDP 04:50  UDP         10.244.0.9:33001   10.96.0.10:53      10.244.1.9:53",
    "TCP 01:00  FIN_WAIT    [fd00:10::fa]:40000 [fd00:10::2]:80 [fd00:10::15]:80",
)


def broken(line: str, width: int, *, strip: bool) -> str:
    parts = [line[at : at + width] for at in range(0, len(line), width)]
    return "\n".join(part.rstrip() if strip else part for part in parts)


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("width", range(30, 76))
def test_entries_broken_at_any_width_are_read(width: int, strip: bool) -> None:
    whole = from_printed(HEAD + "\n".join(LINES) + "\n").table
    text = HEAD + "".join(f"{broken(line, width, strip=strip)}\n" for line in LINES)
    found = from_printed(text)
    assert whole is not None
    assert found.table is not None
    assert found.table.entries == whole.entries
    assert len(whole.entries) == 3
    assert found.warnings == ()


def test_whole_lines_and_other_texts_are_left_as_they_are() -> None:
    text = HEAD + "\n".join(LINES) + "\nTCP  10.0.0.50:5432 rr\n  -> 10.0.1.4:5432 Masq 1 0 0\n"
    assert unwrapped(text) == text


def test_an_entry_that_was_cut_off_takes_none_of_the_next() -> None:
    text = f"{LINES[0][:40]}\n{LINES[1]}\n"
    assert unwrapped(text) == text


@given(st.text(max_size=300))
def test_any_text_keeps_what_it_says(text: str) -> None:
    assert unwrapped(text).replace("\n", "").replace(" ", "").replace("\r", "") == text.replace(
        "\n", ""
    ).replace(" ", "").replace("\r", "")


PIECES = st.sampled_from(
    [*LINES, "", "2", " 80 ", "TCP 00:59 NONE 10.0.9.9:1", "x" * 401, HEAD[:23]]
)


@given(st.lists(PIECES, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_unbroken_lines_are_passed_as_if_they_were_put_together(lines: list[str], end: str) -> None:
    text = end.join(lines)
    with patch("loadgen.importing.wrapped._is_unbroken", return_value=False):
        closely = unwrapped(text)
    assert unwrapped(text) == closely
