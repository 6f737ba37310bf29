"""What would have been, beside what was: the curve, the words, and nothing where nobody asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.charts.curves import Curve
from analyzer.results import WhatIf, WhatIfGroup
from reports.run.page import render_page
from reports.run.sections.other_settings import what_if
from reports.run.text import summary_lines
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis


def answer(analysis: Analysis, **changes: object) -> WhatIf:
    director = analysis.timeline.predicted[0].director
    made = WhatIf(
        director=director,
        assumptions=("tcpfin=60",),
        peak_active=1,
        peak_inactive=50,
        forgotten_after_s=60.4,
        groups=(WhatIfGroup(state="FIN_WAIT", timeout_s=60.0, n=50),),
        doubt=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # fields of a WhatIf


@pytest.fixture
def analysis() -> Analysis:
    made = build.demo()
    answered = answer(made)
    curve = Curve(
        director=answered.director,
        real_server="all real servers",
        t_s=np.array([0.5, 61.0]),
        active=np.array([0, 0]),
        inactive=np.array([50, 0]),
    )
    pictures = replace(made.pictures, what_if=(curve,))
    return replace(made, what_if=(answered,), pictures=pictures)


def test_both_curves_are_drawn_with_their_own_values(analysis: Analysis) -> None:
    section = what_if.section(analysis)
    assert section is not None
    was, would_be = validated(section.charts[0].figure).data
    assert max(was.y) == 50
    assert list(would_be.y)[-1] == 0
    assert max(x for x, y in zip(would_be.x, would_be.y, strict=True) if y) >= 0.5
    assert (was.line.dash, would_be.line.dash) == ("solid", "8px,4px")  # never by colour alone


def test_the_sentence_has_the_numbers_and_what_they_were(analysis: Analysis) -> None:
    (sentence,) = what_if.sentences(analysis)
    assert "tcpfin=60" in sentence
    assert "would peak at 50 (it was 50)" in sentence
    assert "60.40 s after the last packet" in sentence
    assert "50 in FIN_WAIT" in sentence


def test_what_the_capture_cannot_tell_is_said(analysis: Analysis) -> None:
    doubtful = replace(analysis, what_if=(answer(analysis, doubt="there are no replies in it"),))
    assert "Not certain: there are no replies in it." in what_if.sentences(doubtful)


def test_the_page_and_the_terminal_say_the_same(analysis: Analysis) -> None:
    page, terminal = render_page(analysis), " ".join(summary_lines(analysis))
    (sentence,) = what_if.sentences(analysis)
    assert 'id="what-if"' in page
    assert sentence in page
    assert sentence in terminal


def test_nobody_asked_nothing_is_said() -> None:
    plain = build.demo()
    assert what_if.section(plain) is None
    assert 'id="what-if"' not in render_page(plain)


def test_hostile_assumptions_are_text(analysis: Analysis) -> None:
    hostile = replace(
        analysis, what_if=(answer(analysis, assumptions=("<script>alert(1)</script>",)),)
    )
    assert "<script>alert(1)" not in render_page(hostile)
