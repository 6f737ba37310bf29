"""The parts of a run that have a button."""

from __future__ import annotations

from reports.charts.series import series
from reports.charts.windows import windows
from tests.unit.reports import builders_analysis as build


def test_the_windows_are_the_run_its_burst_and_its_decay() -> None:
    run = build.demo()
    whole, burst, decay = windows(run.timeline, series(run))
    assert [whole.label, burst.label, decay.label] == ["Whole run", "Burst", "Decay"]
    assert burst.end_s < 2
    assert 20 < decay.start_s < decay.end_s < 23
