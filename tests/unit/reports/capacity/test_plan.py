"""A plan of VIPs as a document: what it says in a terminal and on its page."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from analyzer.capacity.planner import plan_capacity
from analyzer.capacity.question import CapacityQuestion
from reports.capacity.plan import capacity_document
from reports.document.html import page_of
from reports.document.text import lines_of
from tests.unit.reports.builders_figure import validated
from tests.unit.reports.document.builders_document import charts_of

if TYPE_CHECKING:
    from reports.document.model import Document

G = 10**9


def document(**given: Any) -> Document:
    question: dict[str, Any] = {"hosts": 3, "failures": 1, "link_bps": Fraction(G)}
    question |= {"ingress_bps": Fraction(3 * G, 2), "utilisation": Fraction(4, 5)}
    return capacity_document(plan_capacity(CapacityQuestion(**question | given), lambda: 60.0))


def test_the_chart_has_one_vip_per_director_above_what_is_recommended() -> None:
    (chart,) = charts_of(document())
    assert chart.table is not None
    assert [row[0] for row in chart.table.rows[::4]] == ["3, all well", "6, all well"]
    assert chart.table.rows[1] == ("3, bal01 down", 0.0, 0.5, 1.0)
    assert [shape.y0 for shape in validated(chart.figure).layout.shapes] == [1.0, 0.8, 1.0, 0.8]


def test_vips_of_shares_stand_with_their_directors_in_both_media() -> None:
    shown = document(shares=tuple(map(Fraction, (5, 3, 2, 1))))
    lines = lines_of(shown)
    at = lines.index(
        "VIPs of the shares given: does not fit: 818.2 Mbit/s on one director after 1 loss:"
    )
    assert [line.split()[0] for line in lines[at + 1 : at + 5]] == [
        "45.5%",
        "27.3%",
        "18.2%",
        "9.1%",
    ]
    html = page_of(shown)
    assert "<caption>does not fit: 818.2 Mbit/s on one director after 1 loss</caption>" in html
    assert '<th scope="row">45.5%</th>' in html


def test_a_terminal_shows_the_first_24_vips() -> None:
    lines = lines_of(document(hosts=7, failures=2, ingress_bps=Fraction(3 * G)))
    assert lines_of_lists(lines)[-2:] == ["VIP 24", "… and 186 more: --json has them all"]


def lines_of_lists(lines: list[str]) -> list[str]:
    start = next(n for n, line in enumerate(lines) if line.startswith("Directors of each VIP"))
    return [line.strip().partition("  ")[0] for line in lines[start + 1 :]]


def test_what_cannot_be_done_is_a_verdict_and_the_question() -> None:
    shown = document(ingress_bps=Fraction(9 * G))
    assert not shown.shown("page")
    text = " ".join(lines_of(shown))
    assert text.startswith("It cannot be done: after 1 loss each of the 2 left would carry 4.5 Gb")
    assert text.endswith("up to 1 down at once; utilisation up to 80%.")
