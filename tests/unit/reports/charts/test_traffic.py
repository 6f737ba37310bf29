"""Requests and packets in bins of time, however far apart a recording says that they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.charts.traffic import BINS, packets, requests
from tests.unit.reports import builders_analysis as build


@pytest.mark.parametrize("far_s", [1e9, -1e9])
def test_an_instant_far_away_does_not_cost_a_bin_for_each_second(far_s: float) -> None:
    timeline = build.demo().timeline
    far = replace(
        timeline,
        marks={"SYN": np.array([1.0, far_s])},
        request_ended_s=np.array([1.0, far_s]),
        request_failed=np.array([False, False]),
    )
    for panel in (packets(far), requests(far)):
        assert panel is not None
        assert all(len(trace["x"]) <= 2 * BINS for trace in panel.traces)
