"""The page of a Document: every block is shown, and nothing from outside is believed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from reports.document.html import page_of
from reports.document.model import Section, Table, Text, columns
from tests.unit.reports.document.builders_document import document, every_block
from tests.unit.reports.run.test_page import HOSTILE, Outline


def test_every_block_is_shown_and_the_document_embedded() -> None:
    html = page_of(document(*every_block()))
    page = Outline(html)
    assert json.loads(page.texts["answer"]) == {"said": "It holds"}
    assert page.texts["title"] == page.texts["verdict"] == "It holds: in 3 of 3"
    assert '<a href="bal01.html">bal01</a><small>bal01</small>' in html
    bare = re.sub(r' data-label="[^"]*"', "", html)  # shown where a narrow window makes blocks
    assert '<td><span class="unknown">not measured</span></td><td class="n">5</td>' in bare
    assert bare != html
    assert ">only<" not in html
    for piece in ('<p class="note">bal01</p>', "<li>bal01</li>", "<dd>bal01</dd>", ">Asked: It"):
        assert piece in html
    assert 'id="finding-odd"' in html
    assert "Never shown" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_place_adds_no_element_and_no_attribute(text: str) -> None:
    shapes = [
        Outline(page_of(document(*every_block(said), said=said))).shape()
        for said in (text, "harmless")
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("style", ["narrow", "wide", "scroll"])
def test_a_title_stands_over_its_table_unless_the_section_says_the_same(style: Any) -> None:
    tag = "h3" if style == "scroll" else "caption"
    for title, shown in (("Held", "Held"), ("The rows", ""), ("The rows: two", "two")):
        table = Table(title=title, columns=columns("a"), rows=(), style=style)
        html = re.sub("<article.*?</article>", "", page_of(document(table)), flags=re.DOTALL)
        assert re.findall(f"<{tag}>(.*?)</{tag}>", html) == [shown] * bool(shown)
        assert f'<table class="{style}">' in html or style == "scroll"


def test_a_section_of_the_terminal_alone_is_no_part_of_the_page() -> None:
    shown = document(Text("Here."))
    hidden = Section("hidden", "Hidden", (Text("There."),), only="terminal")
    html = page_of(replace(shown, sections=(*shown.sections, hidden)))
    assert "Here." in html
    assert "There." not in html
