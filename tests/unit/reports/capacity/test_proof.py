"""The proof's page and lines."""

from __future__ import annotations

import re
from dataclasses import replace

from analyzer.capacity.proof.prove import prove
from reports.capacity.proof import proof_document
from reports.document.html import page_of
from reports.document.text import lines_of
from tests.unit.analyzer.capacity.builders_experiment import (
    DIRECTORS,
    as_computed,
    datagrams,
    experiment,
    links,
)
from tests.unit.reports.builders_figure import validated
from tests.unit.reports.document.builders_document import charts_of

RATES = dict.fromkeys(DIRECTORS, 5.0), {"bal02": 7.5, "bal03": 7.5}
EVIL = "<script>alert(1)</script>"


def test_each_link_has_a_measured_bar_beside_the_computed_one() -> None:
    (drawn,) = charts_of(proof_document(as_computed()))
    figure = validated(drawn.figure)
    computed, measured = figure.data
    assert list(computed.y) == [0.5, 0.5, 0.5, 0.75, 0.75]
    assert [round(value, 3) for value in measured.y] == [0.5, 0.5, 0.5, 0.75, 0.75]
    assert [shape.y0 for shape in figure.layout.shapes] == [1.0]


def test_the_terminal_shows_the_shares_of_each_window() -> None:
    text = "\n".join(lines_of(proof_document(as_computed())))
    assert "bal01 killed  2 VIPs away for 3.00 s; the others without a datagram" in text
    assert re.search(r"link +offered +computed +measured +difference\n", text)
    after = r"bal02, after the loss of bal01 +750 Mbit/s +750 Mbit/s +750 Mbit/s +[+-]0\.0%"
    assert re.search(after, text)


def test_what_was_not_measured_says_so_and_is_no_bar() -> None:
    known = {name: rates for name, rates in RATES[0].items() if name != "bal03"}
    proof = prove("r", experiment(), links(known, {"bal02": 7.5}), datagrams())
    (drawn,) = charts_of(proof_document(proof))
    assert validated(drawn.figure).data[1].y[2] is None
    assert "not measured" in page_of(proof_document(proof))
    lines = lines_of(proof_document(proof))
    assert any(line.startswith("- bal03, after the loss of bal01: ") for line in lines)


def test_a_proof_without_a_window_has_a_page_too() -> None:
    proof = prove("r", experiment(losses=()), links(*RATES), datagrams())
    document = proof_document(proof)
    assert charts_of(document) == []
    assert [each.value for each in document.headlines] == [None, None, None]
    assert "Nothing was measured" in page_of(document)


def test_names_from_a_recording_are_shown_as_text() -> None:
    names = (EVIL, *DIRECTORS[1:])
    hostile = replace(experiment(), directors=names, vips=(EVIL, *experiment().vips[1:]))
    html = page_of(proof_document(prove(EVIL, hostile, links(*RATES), datagrams())))
    assert EVIL not in html
    assert "&lt;script&gt;" in html
