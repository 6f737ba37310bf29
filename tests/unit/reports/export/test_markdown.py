"""The summary for a ticket says what the page says, and nothing in it comes alive."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.charts import wording
from reports.export.markdown import charts_of, inert, render_markdown
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.run.test_page import HOSTILE

ALIVE = [
    *HOSTILE,
    "[a](javascript:alert(1))",
    "![x](http://evil/x.png)",
    "@everyone #12 GH-12 http://evil www.evil.com",
    "```\n# heading",
    "| a | b |",
    "- item",
    "1. item",
    "<!-- -->",
    "a\n\n## Heading",
    "==",
]


def markup(text: str) -> str:
    """What is left of a Markdown text when what is escaped is a sign that means nothing."""
    shown = re.sub(r"&(amp|lt|gt);", "x", text)  # an entity is a letter like any other
    return re.sub(r"\\[\\`*_\[\]|~$#+=.)-]", "§", shown)


@given(st.one_of(st.sampled_from(ALIVE), st.text(max_size=60)))
def test_a_text_made_inert_is_one_line_without_markup(text: str) -> None:
    left = markup(inert(text))
    assert not set(left) & set("\\`*_[]|~$<>&\n\r")
    assert not re.match(r"[#+=-]|\d+[.)](\s|$)", left)
    assert not re.search(r"://|@\w|\bwww\.|#\d|\bGH-\d", left)


def test_what_is_harmless_stays_readable() -> None:
    assert inert("20.24 s, 192.168.10.21:80 (mean - 3)") == "20.24 s, 192.168.10.21:80 (mean - 3)"


def test_it_has_the_numbers_of_the_page() -> None:
    run = build.demo()
    text = render_markdown(run, {})
    assert text.startswith(f"# {inert(run.verdict)}\n")
    for headline in wording.headlines(run):
        assert headline.value is not None
        assert f"**{inert(headline.value)}**" in text
    for finding in run.findings:
        assert inert(finding.title) in text
    assert text.count("| 192.168.10.21:80 |") == 2  # in each director's table


def test_a_chart_with_a_picture_shows_it_and_one_without_keeps_its_sentence() -> None:
    run = build.demo()
    first, second = charts_of(run)[:2]
    text = render_markdown(run, {first.id: "x/first.svg", "story": "x/story.svg"})
    assert "(x/first.svg)" in text
    assert "(x/story.svg)" in text
    assert f"- {inert(second.caption)}" in text


def test_why_there_are_no_pictures_is_one_line() -> None:
    text = render_markdown(build.demo(), {}, why_none="no Chrome here")
    assert text.count("no Chrome here") == 1
    assert "![" not in text


@pytest.mark.parametrize("name", build.RUNS)
def test_every_kind_of_run_is_a_summary(name: str) -> None:
    run = build.RUNS[name]()
    text = render_markdown(run, {})
    for missing in run.not_measured:
        assert inert(missing.why) in text


def shape(written: str) -> list[str]:
    """The begin of each line, and where the cells of a table end."""
    lines = [line for line in written.splitlines() if line.strip()]
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    return [
        f"{line[:2]}{n}" if line[0] in "|#-!" else "text"
        for line, n in zip(lines, bars, strict=True)
    ]


@cache
def harmless_shape() -> list[str]:
    return shape(render_markdown(build.hostile("harmless"), {}))


@pytest.mark.parametrize("text", ALIVE)
def test_hostile_text_changes_no_structure(text: str) -> None:
    hostile = render_markdown(build.hostile(text), {})
    assert shape(hostile) == harmless_shape()
    assert "<" not in markup(hostile)
