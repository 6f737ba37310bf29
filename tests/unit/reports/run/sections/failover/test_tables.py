"""The tables of a fail-over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.run.page import render_page
from tests.unit.reports.run.sections.failover.builders_failover import FAILOVER, RUN


def test_predicted_stands_beside_observed_and_what_was_not_asked_is_not_measured() -> None:
    html = render_page(RUN)
    assert 'id="failover"' in html
    for text in ("3.600", "3.620", "+0.020", "2.965 to 3.965", "during the failback"):
        assert text in html
    rows = html[html.index("Entries on the directors") :]
    assert "not measured" in rows[: rows.index("</table>")]


@pytest.mark.parametrize(
    ("theory", "shown"),
    [
        ({"never_due": True}, "never (nopreempt)"),
        ({"due_s": (3.9609, 4.0609)}, "3.961 to 4.061"),
        ({}, "not measured"),
    ],
)
def test_when_the_old_master_was_due_back_stands_beside_when_it_came(
    theory: dict[str, object], shown: str
) -> None:
    assert FAILOVER.failback is not None
    back = replace(FAILOVER.failback, **theory)  # type: ignore[arg-type]
    html = render_page(replace(RUN, failover=replace(FAILOVER, failback=back)))
    row = html[html.index("that was due after, s") :]
    assert shown in row[: row.index("</tr>")]
