"""The lifetime chart: every entry is in it, beside the timeout that governs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reports.run.sections.entries import lifetimes
from tests.unit.reports import builders_analysis as build
from tests.unit.reports.builders_figure import validated

if TYPE_CHECKING:
    from analyzer.report import Analysis


def with_group(**changes: Any) -> Analysis:
    run = build.demo()
    group = replace(run.pictures.lifetime_samples[0], **changes)
    return replace(run, pictures=replace(run.pictures, lifetime_samples=(group,)))


def figure(run: Analysis) -> Any:
    return validated(lifetimes.section(run).charts[0].figure)


def fixed() -> Analysis:
    lifetimes_s = np.linspace(120.1, 125.0, 50)
    return with_group(
        state="TIME_WAIT",
        timeout_name="fixed",
        timeout_s=120.0,
        granule_s=5.12,
        observed_s=lifetimes_s,
        predicted_s=lifetimes_s,
    )


@pytest.mark.parametrize("name", ["observed", "predicted"])
def test_each_entry_is_counted_once(name: str) -> None:
    (trace,) = [t for t in figure(build.demo()).data if t.name == name]
    assert sum(trace.y) == 50


def test_no_bar_begins_before_the_timeout_when_no_entry_went_before_it() -> None:
    (bars,) = [t for t in figure(build.demo()).data if t.name == "observed"]
    assert bars.x.min() >= 20.0


def test_the_timeout_and_the_granule_are_drawn_in() -> None:
    made = figure(build.demo())
    band, line = made.layout.shapes
    assert (band.x0, band.x1) == (20.0, 20.64)
    assert line.x0 == line.x1 == 20.0
    assert "tcpfin = 20 s" in [note.text for note in made.layout.annotations]


def test_tcpfin_is_shown_where_it_does_not_govern() -> None:
    made = figure(fixed())
    assert {shape.x0 for shape in made.layout.shapes if shape.type == "line"} == {120.0, 20.0}
    assert {note.text for note in made.layout.annotations} >= {"fixed 120 s", "tcpfin = 20 s"}


def test_a_button_leads_to_each_timeout() -> None:
    run = fixed()
    whole, around = lifetimes.windows(lifetimes.drawn(run))
    assert (whole.label, around.label) == ("From 0", "Around 120 s")
    assert around.start_s < 120 < 125.12 < around.end_s


def test_the_sentence_has_the_numbers() -> None:
    assert lifetimes.caption(lifetimes.drawn(fixed())).startswith(
        "In TIME_WAIT on bal01 50 entries expired 120.10 to 125.00 s after the last packet; the "
        "timeout, 120 s, is fixed in the kernel, and the timer adds up to 5.12 s."
    )


def test_what_was_not_seen_to_go_is_said_so() -> None:
    run = with_group(observed_s=np.array([]))
    assert "no expiry was seen" in lifetimes.caption(lifetimes.drawn(run))
    (row,) = lifetimes.section(run).charts[0].table.rows  # type: ignore[union-attr]
    assert row[3:7] == (0, None, None, None)


def test_a_timeout_that_was_not_read_is_not_drawn() -> None:
    run = with_group(timeout_s=None, granule_s=None, tcpfin_s=None)
    assert not figure(run).layout.shapes
    assert "the timeout was not measured" in lifetimes.caption(lifetimes.drawn(run))


def test_a_million_lifetimes_are_few_bars() -> None:
    many = np.random.default_rng(1).uniform(20, 900, 1_000_000)
    made = figure(with_group(observed_s=many, predicted_s=many))
    assert all(len(t.x) <= lifetimes.MOST_BINS + 4 for t in made.data)
    assert sum(made.data[0].y) == 1_000_000


def test_no_lifetime_draws_nothing() -> None:
    assert lifetimes.section(build.nothing()).charts == ()
