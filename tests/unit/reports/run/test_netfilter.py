"""The page and the terminal of a netfilter director: conntrack and its sysctls, not ipvsadm's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from reports.run.page import render_page
from reports.run.text import summary_lines
from tests.unit.analyzer.builders_conntrack import Node, closed, half_closed, left_open, refused

if TYPE_CHECKING:
    from analyzer.report import Analysis


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    flows = [closed(40000 + each, 1000.0 + each / 5) for each in range(6)]
    flows += [left_open(41000, 1001.0), half_closed(41001, 1001.5), refused(41002, 1002.0)]
    return Node(flows=flows).played(tmp_path_factory.mktemp("node") / "run")


def words(page: str) -> str:
    """The page's text without scripts, styles and tags."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_page_names_conntracks_sysctls_and_no_granule(analysis: Analysis) -> None:
    text = words(render_page(analysis))
    assert "nf_conntrack_tcp_timeout_time_wait = 30 s" in text
    assert "kept by conntrack" in text
    assert "Peak of conntrack&#39;s entries 9" in text
    assert "polled states of node01&#39;s entries are the predicted ones" in text
    assert "node01: conntrack&#39;s law" in text or "node01: conntrack's law" in text
    assert "at most 65,536 entries (nf_conntrack_max)" in text
    assert "node01: timeouts" not in text
    assert "counted as InActConn" not in text
    assert "fire on a grid" not in text
    assert "its timer&#39;s step" not in text


def test_hours_that_nobody_waited_do_not_squeeze_the_seconds_that_were(analysis: Analysis) -> None:
    text = words(render_page(analysis))
    assert "In TIME_WAIT on node01 6 entries expired" in text
    assert "In ESTABLISHED on node01" not in text


def test_the_terminal_has_the_verdict_last(analysis: Analysis) -> None:
    text = " ".join(summary_lines(analysis, 100))
    assert "conntrack counts no entry as active or inactive" in text
    assert text.endswith("conntrack held up to 9 entries on node01.")
