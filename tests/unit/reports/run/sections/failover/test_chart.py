"""The chart of a fail-over."""

from __future__ import annotations

from reports.run.sections import failover
from tests.unit.reports.builders_figure import validated
from tests.unit.reports.run.sections.failover.builders_failover import RUN


def test_the_bands_end_when_nobody_had_to_believe_in_them_any_more() -> None:
    made = failover.section(RUN)
    assert made is not None
    figure = validated(made.charts[0].figure)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [(bar.name, bar.base[0], round(bar.base[0] + bar.x[0], 3)) for bar in bars] == [
        ("bal01", 0.6, 5.6),
        ("bal02", 8.6, 20.0),
    ]
