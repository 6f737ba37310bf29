"""Links from a page to the pages of runs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from loadgen.session.output.links import link, report_links

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


def test_runs_without_a_report_have_no_link(tmp_path: Path) -> None:
    runs = {name: tmp_path / name for name in ("a", "b")}
    for run in runs.values():
        run.mkdir()
    (runs["a"] / "report.html").touch()
    assert report_links(runs, tmp_path / "history.html") == {"a": "a/report.html"}
    assert report_links(runs, tmp_path / "x" / "y.html") == {"a": "../a/report.html"}


@given(NAMES.filter(lambda name: name not in (".", "..")))
def test_a_link_is_a_path_below_whatever_the_name(name: str) -> None:
    here = Path("/srv/runs")
    found = urlsplit(link(here / name / "report.html", here / "history.html"))
    assert (found.scheme, found.netloc, found.query, found.fragment) == ("", "", "", "")
    assert unquote(found.path) == f"{name}/report.html"
