"""What the terminal prints of a Document."""

from __future__ import annotations

from reports.document.model import Bullets, Column, Facts, Labelled, Table, Text, columns
from reports.document.text import lines_of
from tests.unit.reports.document.builders_document import document, every_block

FINDING = ["warning odd: It holds.", "  Seen.", "  Do."]


def between(*blocks: object) -> list[str]:
    """The lines of some blocks, without verdict, question and finding."""
    lines = lines_of(document(*blocks))  # type: ignore[arg-type]
    assert lines[:4] == ["It holds: in 3 of 3", "", "Asked: It holds.", ""]
    assert lines[-4:] == ["", *FINDING]
    return lines[4:-4]


def test_a_verdict_stands_first_or_last_and_whole() -> None:
    assert lines_of(document())[0] == "It holds: in 3 of 3"
    long = "word " * 40 + "end"
    assert lines_of(document(said=long, verdict_last=True))[-1] == f"{long}: in 3 of 3"


def test_columns_are_aligned_and_those_without_a_title_left_out() -> None:
    shown = (*columns("run", "failed", right=True), Column("page only", ""), Column("", "remark"))
    rows = (("a", 5, "x", "odd"), ("longer", None, "x", ""))
    assert between(Table(columns=shown, rows=rows)) == [
        "run           failed  remark",
        "a                  5  odd",
        "longer  not measured",
    ]


def test_the_last_cell_of_a_titled_table_is_wrapped_beside_the_others() -> None:
    why = "a reason that goes on and on " * 4
    rows = ((Labelled("bal01", "down"), why),)
    table = Table(title="Lost", columns=columns("who", "why"), rows=rows, head=False)
    title, first, second = between(table)
    assert title == "Lost:"
    assert first.startswith("  bal01: down  a reason")
    assert len(first) <= 100
    assert second == " " * 15 + "on a reason that goes on and on"


def test_rows_beyond_the_most_are_counted() -> None:
    rows = [(f"VIP {n}", n) for n in range(5)]
    table = Table(columns=columns("a", "b"), rows=rows, head=False, most=2)
    assert between(table) == ["VIP 0  0", "VIP 1  1", "… and 3 more: --json has them all"]


def test_texts_that_follow_one_another_are_one_paragraph_and_the_pages_are_left_out() -> None:
    blocks = (Text("One."), Text("Never.", only="page"), Text("Two."), Bullets("Missing", ("x",)))
    assert between(*blocks) == ["One.", "Two.", "", "Missing:", "- x"]


def test_charts_and_facts_are_the_pages() -> None:
    assert not between(every_block()[0], Facts([("a", 1)]))
