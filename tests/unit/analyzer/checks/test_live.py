"""Limits that end a run: which are understood, and when one is crossed."""

from __future__ import annotations

import pytest

from analyzer.checks.grammar import ExpectationError
from analyzer.checks.live import LEAST_FOR_A_SHARE, LIVE, LiveCounts, crossed, parse_limit


@pytest.mark.parametrize(
    ("text", "seen", "value"),
    [
        ("failed>10", LiveCounts(ended=20, failed=10), None),
        ("failed>10", LiveCounts(ended=20, failed=11), 11),
        ("failed>=10", LiveCounts(ended=20, failed=10), 10),
        ("failed_share>5%", LiveCounts(ended=100, failed=6), 0.06),
        ("failed_share>5%", LiveCounts(ended=100, failed=5), None),
        (
            "failed_share>5%",
            LiveCounts(ended=LEAST_FOR_A_SHARE - 1, failed=9),
            None,
        ),  # too few to tell
        ("inactive_peak>1000", LiveCounts(ended=1, failed=0, inactive_peak=1001), 1001),
        ("inactive_peak>1000", LiveCounts(ended=1, failed=0), None),  # not polled yet
        ("active_peak>=3", LiveCounts(ended=1, failed=0, active_peak=3, inactive_peak=0), 3),
    ],
)
def test_a_limit_is_crossed_by_a_known_value_beyond_it(
    text: str, seen: LiveCounts, value: float | None
) -> None:
    assert crossed(parse_limit(text), seen) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tcpfin>30s", "tcpfin is not known during the run; there are failed, failed_share"),
        ("connect_p99>50ms", "connect_p99 is not known during the run"),
        ("failed=0", "expected > or >=, such as failed>10"),
        ("failed<3", "expected > or >="),
        ("inactive_peak(bal01)>9", "expected only inactive_peak"),
        ("speed>9", "no quantity 'speed'"),
        ("failed>5ms", "failed takes a plain number"),
        ("failed>", "at character 7"),
    ],
)
def test_a_limit_that_nobody_could_see_crossed_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ExpectationError) as refused:
        parse_limit(text)
    assert said in str(refused.value)


def test_only_the_peaks_need_a_director() -> None:
    needy = {name for name in LIVE if parse_limit(f"{name}>0").needs_directors}
    assert needy == {"active_peak", "inactive_peak"}
