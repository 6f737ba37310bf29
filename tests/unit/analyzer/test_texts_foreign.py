"""Lines that are refused at once are those that the careful readers refuse."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.ipvsadm import parse
from analyzer.ipvs.ipvsadm.foreign import is_foreign
from analyzer.ipvs.ipvsadm.lines import line_blocks
from tests.unit.properties import examples

PROSE = (
    "pro expire state source virtual destination ipvsadm cat date exit sudo options conflicts in "
    "the list command multiple commands specified unexpected argument illegal rr wlc mask pe ops "
    "persistent tcp fwm match 0 12 1234 12345678 1234567890 1.5 12.34 a bc deadbeef c0a80a02 0050 "
    "master backup sync daemon \" prose, it's; what? nov"
)
WORDS = [*PROSE.split(), "x" * 28, ".", "a1" * 14]
COUNTERS = "   1        2        3        4                5                6"
LINES = (
    "TCP  192.168.10.2:80 rr",
    "TCP  192.168.10.2 rr",
    "  -> 192.168.10.3:80    Route   1      0          0",
    "Prot LocalAddress:Port Scheduler Flags",
    "IPVS connection entries",
    "CPU    Conns  Packets  Packets            Bytes            Bytes",
    "",
)
ANY_LINE = st.sampled_from((*LINES, COUNTERS)) | st.lists(st.sampled_from(WORDS), max_size=10).map(
    " ".join
)


@examples(600)
@given(st.lists(ANY_LINE, max_size=8).map("\n".join))
def test_a_text_is_understood_as_without_the_quick_refusal(text: str) -> None:
    at_once = parse(text)
    with patch("analyzer.ipvs.ipvsadm.reader.is_foreign", return_value=False):
        assert parse(text) == at_once


def test_prose_is_refused_and_what_may_be_of_a_tool_is_not() -> None:
    assert all(map(is_foreign, ("ab cd", "12 monkeys, they said", "  the end.")))
    assert not any(map(is_foreign, (*LINES, "exit", "ab 1234 rr", "date", "12:30 it was")))


@pytest.mark.parametrize("block", [1, 4, 1 << 16])
def test_empty_lines_are_counted_whatever_ends_them(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many characters are split at a time."""
    monkeypatch.setattr("analyzer.ipvs.ipvsadm.lines._BLOCK", block)
    text = "\n\na\r\n\r\n\r\nb\r\r\n\rc\n\n\nd"
    numbered = [each for first, lines in line_blocks(text) for each in enumerate(lines, first)]
    filled = [(number, raw) for number, raw in numbered if raw]
    assert filled == [(3, "a"), (6, "b"), (8, "c"), (11, "d")]
