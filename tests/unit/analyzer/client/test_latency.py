"""Percentiles are exact, bounded, and say what they cannot tell; repeated SYNs are found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.latency import QUANTILES, heat, latencies, percentiles, syn_retries
from analyzer.client.outcomes import outcomes_of
from analyzer.client.requests import latency
from analyzer.client.samples import carries_quantile
from analyzer.recording.requests import RequestRows
from tests.unit.analyzer.builders_packets import NS, table

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.client.outcomes import Outcomes

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=400)


@given(VALUES)
def test_every_point_is_a_value_and_the_curve_ends_at_the_largest(drawn: list[float]) -> None:
    values = np.array(drawn)
    curve = percentiles("total", "send", values)
    assert curve is not None
    assert np.isin(curve.ms, values).all()
    assert (np.diff(curve.ms) >= 0).all()
    assert (np.diff(curve.share) > 0).all()
    assert curve.ms[-1] == values.max()
    assert curve.ms[0] == values.min()


@given(VALUES)
def test_they_are_the_percentiles_of_the_document(drawn: list[float]) -> None:
    values = np.array(drawn)
    curve, printed = percentiles("total", "send", values), latency(values)
    assert curve is not None
    assert printed is not None
    for share, value, other in zip(
        QUANTILES, curve.at, (printed.p50, printed.p90, printed.p99), strict=False
    ):
        assert value == (other if carries_quantile(share, len(values)) else None)


@pytest.mark.parametrize(
    ("n", "known"),
    [(1, 0), (2, 1), (9, 1), (10, 2), (99, 2), (100, 3), (999, 3), (1000, 4), (10_000, 5)],
)
def test_a_percentile_is_given_only_where_a_request_lies_beyond_it(n: int, known: int) -> None:
    curve = percentiles("total", "send", np.arange(1.0, n + 1))
    assert curve is not None
    assert sum(value is not None for value in curve.at) == known


def test_the_last_percentile_of_ten_thousand_is_the_last_but_one() -> None:
    curve = percentiles(
        "total", "send", np.random.default_rng(1).permutation(np.arange(1.0, 10_001))
    )
    assert curve is not None
    assert curve.at == (5001.0, 9001.0, 9901.0, 9991.0, 10_000.0)
    assert QUANTILES[-1] in curve.share


def test_what_was_not_reached_is_left_out() -> None:
    assert percentiles("connect", "send", np.array([np.nan, np.nan])) is None
    curve = percentiles("connect", "send", np.array([np.nan, 3.0]))
    assert curve is not None
    assert curve.n == 1


def test_a_million_requests_are_some_hundreds_of_points_in_little_time() -> None:
    values = np.random.default_rng(1).lognormal(1, 1, 1_000_000)
    began_s = time.process_time()
    curve, picture = percentiles("total", "send", values), heat(np.arange(1e6) / 1e4, values)
    assert time.process_time() - began_s < 5
    assert curve is not None
    assert picture is not None
    assert len(curve.share) < 500
    assert picture.counts.size < 20_000
    assert picture.counts.sum() == 1_000_000


# -- repeated SYNs -------------------------------------------------------------------------------


def connects(*slow_s: float) -> npt.NDArray[np.float64]:
    return np.concatenate([np.linspace(0.3, 2.0, 500), np.array(slow_s) * 1e3])


@pytest.mark.parametrize(
    ("slow_s", "steps", "rule"),
    [
        ((), (), None),
        ((1.002, 1.031), ((1.0, 2),), None),  # one repetition does not tell which rule it is
        ((1.002, 3.01, 7.03), ((1.0, 1), (3.0, 1), (7.0, 1)), "doubling"),
        ((1.01, 2.02, 3.02, 4.03), ((1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1)), "linear"),
        ((2.02, 7.02), ((2.0, 1), (7.0, 1)), None),  # two kinds of clients
    ],
)
def test_connects_at_a_repetition_are_called_out(
    slow_s: tuple[float, ...], steps: tuple[tuple[float, int], ...], rule: str | None
) -> None:
    found = syn_retries(connects(*slow_s), None)
    assert found.steps == steps
    assert found.rule == rule
    assert found.other == 0


def test_a_slow_connect_away_from_every_step_is_not_called_a_repetition() -> None:
    found = syn_retries(connects(1.0, 1.5, 2.6, 5.5), 1)
    assert found.steps == ((1.0, 1),)
    assert found.other == 3
    assert found.seen == 1


def test_a_slow_network_widens_what_counts_as_a_step() -> None:
    slow = np.r_[np.linspace(180, 200, 100), [1190.0, 1350.0]]
    assert syn_retries(slow, None).steps == ((1.0, 2),)


@given(st.lists(st.floats(0, 40_000), max_size=200))
def test_steps_and_others_are_all_the_slow_connects(drawn: list[float]) -> None:
    values = np.array(drawn)
    found = syn_retries(values, None)
    assert found.other >= 0
    assert sum(n for _, n in found.steps) + found.other == (values >= 900).sum()


# -- a recording's -------------------------------------------------------------------------------


def outcomes(requests: pd.DataFrame) -> Outcomes:
    return outcomes_of(RequestRows.of(requests))


def sent(wait_ms: float, n: int = 20) -> pd.DataFrame:
    rows = [
        {
            "id": i,
            "scheduled": i * NS,
            "started": i * NS + round(wait_ms * 1e6),
            "connected": i * NS + round((wait_ms + 1) * 1e6),
            "first_byte": i * NS + round((wait_ms + 2) * 1e6),
            "ended": i * NS + round((wait_ms + 3) * 1e6),
            "error": "reset" if i == 0 else None,
        }
        for i in range(n)
    ]
    return table("requests", rows)


def test_from_the_due_time_the_wait_before_the_send_counts() -> None:
    curve = latencies(outcomes(sent(50.0)), None)
    by = {(one.name, one.since): one.at[0] for one in curve.percentiles}
    assert by["total", "send"] == pytest.approx(3)
    assert by["total", "due"] == pytest.approx(53)
    assert curve.sent_late_ms == pytest.approx(50)


def test_requests_sent_when_due_have_one_latency() -> None:
    curve = latencies(outcomes(sent(0.2)), None)
    assert [one.since for one in curve.percentiles] == ["send"] * 3
    assert curve.sent_late_ms is None


def test_a_failed_request_is_in_no_total_but_in_its_connect() -> None:
    curve = {one.name: one.n for one in latencies(outcomes(sent(0.2)), None).percentiles}
    assert curve == {"connect": 20, "first_byte": 20, "total": 19}


def test_nothing_sent_tells_nothing() -> None:
    curve = latencies(outcomes(table("requests", [])), None)
    assert curve.percentiles == ()
    assert curve.heat is None
    assert curve.syn.steps == ()


@given(st.lists(st.tuples(st.floats(0, 7200), st.floats(0.01, 60_000)), max_size=300))
def test_the_heat_map_holds_every_request_once(drawn: list[tuple[float, float]]) -> None:
    sent_s, took_ms = (np.array([row[i] for row in drawn]) for i in (0, 1))
    picture = heat(sent_s, took_ms)
    assert (0 if picture is None else picture.counts.sum()) == len(drawn)
