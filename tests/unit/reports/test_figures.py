"""Plotly's own validators accept every figure, as the pages carry it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from loadgen.commands.analyzer import group
from reports.run.page import render_page
from tests.importing import import_folder
from tests.unit.reports.builders_figure import validated

DATA = Path("tests/data")
FIGURE = re.compile(r'<script type="application/json" id="([a-z-]+)-figure">(.*?)</script>')
USUAL = {"timeline-chart", "lifetimes-chart", "tcpfin-chart", "shares-chart", "held-chart"}


def accepted(html: str) -> set[str]:
    """The ids of a page's charts, all of which plotly accepts."""
    found = FIGURE.findall(html)
    for _, figure in found:
        validated(json.loads(figure))
    return {name for name, _ in found}


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("dr-burst-50", {"timeline-chart", "latency-chart", "latency-heat-chart"}),
        ("dr-burst-killed", {"timeline-chart", "percentiles-chart"}),
        ("dr-failover", {"timeline-chart", "failover-chart"}),
        ("ground-truth/k612-dr-mixed-tcpfin15", USUAL),
        ("ground-truth/nat-half-open", {"timeline-chart", "states-chart"}),
        ("field/counters/f2-load45.log.gz", {"timeline-chart"}),
    ],
)
def test_plotly_accepts_every_figure_of_a_recording(
    tmp_path: Path, name: str, drawn: set[str]
) -> None:
    if name.startswith("dr-"):
        shutil.copytree(DATA / name, tmp_path / "run")
    else:
        import_folder([DATA / name], tmp_path / "run")
    assert accepted(render_page(analyse(Recording.open(tmp_path / "run")))) >= drawn


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        (["predict", "--rate", "20", "--arrivals", "poisson"], "course"),
        (["capacity", "--hosts=3", "--link=1G", "--ingress=1.5G", "--failures=1"], "loads-chart"),
    ],
)
def test_plotly_accepts_the_figures_of_a_question(
    tmp_path: Path, words: list[str], drawn: str
) -> None:
    page = tmp_path / "page.html"
    result = CliRunner().invoke(group, [*words, "-o", str(page)])
    assert result.exit_code == 0, result.output
    assert accepted(page.read_text("utf-8")) == {drawn}
