"""Which samples carry which numbers."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.client.latency import QUANTILES, percentiles
from analyzer.client.samples import carries_quantile, carries_rate


@pytest.mark.parametrize(
    ("count", "span_s", "carried"),
    [(50, 0.045, False), (50, 1.0, True), (29, 60.0, False), (30, 1.0, True), (500, None, False)],
)
def test_a_rate_needs_a_second_and_some_tens(
    count: int, span_s: float | None, carried: bool
) -> None:
    assert carries_rate(count, span_s) is carried


@pytest.mark.parametrize(
    ("quantile", "least"), [(0.5, 2), (0.9, 10), (0.99, 100), (0.999, 1000), (0.9999, 10_000)]
)
def test_a_quantile_needs_one_value_beyond_it(quantile: float, least: int) -> None:
    assert carries_quantile(quantile, least)
    assert not carries_quantile(quantile, least - 1)


def test_of_fifty_latencies_the_99th_percentile_is_not_given() -> None:
    found = percentiles("total", "send", np.arange(1.0, 51.0))
    assert found is not None
    at = dict(zip(QUANTILES, found.at, strict=True))
    assert (at[0.5], at[0.9], at[0.99], at[0.999]) == (26, 46, None, None)
    assert found.ms[-1] == 50
