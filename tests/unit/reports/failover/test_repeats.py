"""The page of repeated fail-overs: outages on the theory's curve, and what fits neither."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.failover.repeats import repeats
from reports.document.html import page_of
from reports.document.text import lines_of
from reports.failover.repeats import repeats_document, verdict
from tests.unit.reports.builders_figure import validated
from tests.unit.reports.document.builders_document import charts_of
from tests.unit.reports.run.sections.failover.builders_failover import FAILOVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.failover.results import Failover
    from reports.document.model import Document


def ran(age_s: float, late_s: float = 0.015) -> Failover:
    """A silent death whose last advertisement was so old."""
    predicted = 3.965 - age_s
    return replace(
        FAILOVER, advert_age_s=age_s, predicted_outage_s=predicted, outage_s=predicted + late_s
    )


UNIFORM = [ran(0.05 + number / 10) for number in range(10)]
ODD = [*UNIFORM[:4], ran(0.3, late_s=9.0), replace(ran(0.5), valid=False, why_invalid="<b>two</b>")]


def document(runs: Sequence[Failover]) -> Document:
    pages = {number: f"run-{number:03}/report.html" for number in range(1, len(runs) + 1)}
    return repeats_document(repeats(runs), runs, where="runs/x", pages=pages)


def page(runs: Sequence[Failover]) -> str:
    return page_of(document(runs))


def traces_of(runs: Sequence[Failover]) -> tuple[Any, ...]:
    traces: tuple[Any, ...] = validated(charts_of(document(runs))[0].figure).data
    return traces


def test_each_run_leads_to_its_own_page() -> None:
    html = page(UNIFORM)
    assert re.findall(r'<a href="(run-\d+)/report.html">(\d+)</a>', html) == [
        (f"run-{number:03}", f"{number}") for number in range(1, 11)
    ]
    assert "10 of 10 fail-overs lasted as long as their advertisements predict" in html
    assert ">remark<" not in html


def test_the_stairs_climb_by_a_run_each_and_the_theory_from_end_to_end_of_its_range() -> None:
    outcome = repeats(UNIFORM)
    traces = {trace.name: trace for trace in traces_of(UNIFORM)}
    assert list(traces["run"].y) == [pytest.approx((n + 1) / 10) for n in range(10)]
    assert list(traces["run"].customdata) == list(range(10, 0, -1))  # the oldest is out shortest
    assert list(traces["theory"].x[1:3]) == list(outcome.range_s or ())
    assert list(traces["apart"].y) == [pytest.approx(0.015)] * 10


def test_runs_leave_the_band_if_and_only_if_they_contradict_the_theory() -> None:
    for runs, contradict in ((UNIFORM, False), ([ran(0.02)] * 10, True)):
        outcome = repeats(runs)
        assert outcome.apart is not None
        assert outcome.apart_most is not None
        assert (outcome.apart > outcome.apart_most) == contradict
        assert document(runs).headlines[2].alarming == contradict


def test_what_fits_neither_is_marked_named_and_escaped() -> None:
    outcome = repeats(ODD)
    assert verdict(outcome) == (
        "4 of 5 fail-overs lasted as long as their advertisements predict: run 5 fits neither"
    )
    marks = next(trace for trace in traces_of(ODD) if trace.name == "run")
    shapes = dict(zip(marks.customdata, marks.marker.symbol, strict=True))
    assert [number for number, shape in shapes.items() if shape == "x"] == [5]
    html = page(ODD)
    assert "fits neither its own prediction nor the theory" in html
    assert "invalid: &lt;b&gt;two&lt;/b&gt;" in html
    assert "<b>two" not in html


@pytest.mark.parametrize("how", ["keepalived-alone", "clean-stop"])
def test_an_outage_that_hangs_on_no_age_has_a_step_for_its_theory(how: str) -> None:
    fixed = {"predicted_outage_s": 0.0, "predicted_range_s": (0.0, 0.0), "outage_s": 0.02}
    runs = [replace(FAILOVER, how=how, advert_age_s=None, **fixed)] * 6  # type: ignore[arg-type]
    theory = next(t for t in traces_of(runs) if t.name == "theory")
    assert (theory.x[1], theory.x[2], list(theory.y)) == (0, 0, [0, 0, 1, 1])
    assert "whatever the age" in charts_of(document(runs))[0].caption
    assert document(runs).headlines[2].value is None
    assert "not measured" in page(runs)


def test_runs_of_which_none_can_be_judged_draw_nothing() -> None:
    for runs in ([], [replace(FAILOVER, valid=False, why_invalid="two holders")] * 3):
        outcome = repeats(runs)
        assert verdict(outcome) == f"None of {len(runs)} fail-overs can be judged"
        assert charts_of(document(runs))[0].figure is None
        assert "No run can be judged" in page(runs)


def test_the_terminal_gets_a_row_a_run_and_the_sentence() -> None:
    lines = lines_of(document(ODD))
    assert lines[1].split()[:4] == ["1", "3.930", "3.915", "+0.015"]
    assert lines[5].endswith("fits neither its own prediction nor the theory's range")
    assert lines[6].endswith("invalid: <b>two</b>")
    assert lines[-1].startswith("5 of 6 runs judged")
