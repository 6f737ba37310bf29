"""A parsed text as tables: what is made a block at a time is what is made one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.ipvsadm import decode, parse
from reports.parsed_text import lines_of

if TYPE_CHECKING:
    from analyzer.ipvs.ipvsadm import ParsedText

TEXTS = sorted((Path(__file__).parents[2] / "data/texts").glob("*.txt"))
TITLES = (
    "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
)
ROWS = st.sampled_from(
    [
        "TCP  10.0.0.2:80 wlc\n",
        "TCP  [fd00::2]:443 rr persistent 300\n",
        "FWM  7 sh\n",
        "  -> 10.0.1.2:80                  Route   1      10         4\n",
        "  -> 192.168.110.112:8080         Masq    100    1000000    0\n",
        "  -> [fd00::12]:80                Tunnel  1      0          0\n",
        "  -> 10.0.1.3:80 Route 1\n",
        "TCP 00:59 ESTABLISHED 10.0.0.9:4096 10.0.0.2:80 10.0.1.2:80\n",
        "TCP 14:59 FIN_WAIT [fd00::9]:1 [fd00::2]:80 [fd00::12]:80 sip 31\n",
    ]
)


def _shown(parsed: ParsedText, rows: int) -> list[str]:
    with patch("reports.parsed_text._ROWS", rows):
        return list(lines_of(parsed))


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.stem)
def test_a_text_is_shown_alike_in_blocks_of_any_size(file: Path) -> None:
    parsed = parse(decode(file.read_bytes()))
    assert _shown(parsed, 1) == _shown(parsed, 3) == _shown(parsed, 1000)


@given(st.lists(ROWS, max_size=30))
def test_tables_made_beside_one_another_are_those_made_one_by_one(rows: list[str]) -> None:
    parsed = parse(TITLES + "".join(rows))
    beside = list(lines_of(parsed))
    with patch("reports.parsed_text._alike_columns", return_value=None):
        assert list(lines_of(parsed)) == beside


def test_a_table_is_as_wide_as_its_own_rows() -> None:
    text = (
        f"{TITLES}TCP  10.0.0.2:80 wlc\n  -> 10.0.1.2:80  Route 1 10 4\n"
        "UDP  10.0.0.2:53 rr\n  -> 192.168.110.112:8080  Masq 100 0 0\n"
        "  -> 10.0.1.2:80  Masq 1 0 0\n"
    )
    assert list(lines_of(parse(text))) == [
        "IPVS 1.2.1, 4096 buckets",
        "TCP 10.0.0.2:80 wlc",
        "  -> real server  forward  weight  active  inactive",
        "  -> 10.0.1.2:80  Route    1       10      4",
        "UDP 10.0.0.2:53 rr",
        "  -> real server           forward  weight  active  inactive",
        "  -> 192.168.110.112:8080  Masq     100     0       0",
        "  -> 10.0.1.2:80           Masq     1       0       0",
    ]
