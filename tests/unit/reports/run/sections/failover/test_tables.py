"""The tables of a fail-over."""

from __future__ import annotations

from reports.run.page import render_page
from tests.unit.reports.run.sections.failover.builders_failover import RUN


def test_predicted_stands_beside_observed_and_what_was_not_asked_is_not_measured() -> None:
    html = render_page(RUN)
    assert 'id="failover"' in html
    for text in ("3.600", "3.620", "+0.020", "2.965 to 3.965", "during the failback"):
        assert text in html
    rows = html[html.index("Entries on the directors") :]
    assert "not measured" in rows[: rows.index("</table>")]
