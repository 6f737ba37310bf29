"""A steady load's lifetime by the shape of InActConn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.estimate.counted.steady import Steady, steady_load
from tests.unit.analyzer.estimate.counted.builders_load import Log, Stage


def steady(timeout_s: float, over_s: float, rate_per_s: float) -> Log:
    stages = (Stage(over_s=over_s, rate_per_s=rate_per_s),)
    return Log(stages=stages, timeout_s=timeout_s, lateness="none")


def found(log: Log, hz: int | None = None) -> Steady | None:
    series = log.series()
    return steady_load(series.t_s, series.inactive, hz, series.stamp_s)


@pytest.mark.parametrize("timeout_s", [10.0, 20.0, 45.0, 90.0])
@pytest.mark.parametrize("rate_per_s", [2.0, 30.0])
def test_lifetime_rate_and_length_of_a_load(timeout_s: float, rate_per_s: float) -> None:
    said = found(steady(timeout_s, 4 * timeout_s, rate_per_s), 250)
    assert said is not None
    assert abs(said.timeout_s.value - timeout_s) <= said.timeout_s.uncertainty
    assert said.rate_per_s == pytest.approx(rate_per_s, rel=0.1)
    assert said.load_s == pytest.approx(4 * timeout_s, abs=4)
    assert said.n == pytest.approx(4 * timeout_s * rate_per_s, rel=0.1)
    assert said.is_sharp


def test_a_load_that_was_still_on_has_no_length() -> None:
    said = found(replace(steady(30.0, 300.0, 10.0), ends_s=200.0))
    assert said is not None
    assert said.load_s is None
    assert abs(said.timeout_s.value - 30) <= said.timeout_s.uncertainty


def test_a_load_that_rose_and_fell_slowly_is_not_sharp() -> None:
    up, held, down = (
        Stage(over_s=40.0, rate_per_s=0.0, to_rate_per_s=10.0),
        Stage(over_s=300.0, rate_per_s=10.0),
        Stage(over_s=40.0, rate_per_s=10.0, to_rate_per_s=0.0),
    )
    log = replace(steady(10.0, 1.0, 1.0), stages=(up, held, down))
    for arrivals in ("regular", "poisson"):
        said = found(replace(log, arrivals=arrivals))
        assert said is None or not said.is_sharp


def test_a_ramp_that_ends_at_once_is_no_steady_load() -> None:
    ramp = Stage(over_s=200.0, rate_per_s=0.0, to_rate_per_s=20.0)
    assert found(replace(steady(30.0, 1.0, 1.0), stages=(ramp,))) is None


@pytest.mark.parametrize(
    "inactive", [(0,) * 20, (5,) * 20, (3, *range(19)), tuple(range(7)), (0, 1, 0, 1) * 5]
)
def test_what_is_no_such_shape_is_refused(inactive: tuple[int, ...]) -> None:
    t_s = 2.0 * np.arange(float(len(inactive)))
    assert steady_load(t_s, np.array(inactive), None, 1.0) is None
