"""Foreign text on its way into a chart."""

from __future__ import annotations

import pytest

from reports.charts.theme import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ('<a href="https://e.x">', '&lt;a href="https://e.x"&gt;'),
        ("a" * 99, "a" * 79 + "…"),
    ],
)
def test_plotly_gets_no_tags(text: str, expected: str) -> None:
    assert plain(text) == expected
