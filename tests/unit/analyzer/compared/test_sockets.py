"""How long a burst's sockets stayed in a state, from counts alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.charts.curves import SocketCurve
from analyzer.compared.sockets import held_s, socket_curves, socket_states
from tests.unit.analyzer import builders_packets as build


def curve(*counts: int, every_s: float = 1.0) -> SocketCurve:
    return SocketCurve(
        host="client",
        state="TIME_WAIT",
        t_s=np.arange(float(len(counts))) * every_s,
        count=np.array(counts, dtype=np.int64),
    )


UNKNOWN = [
    ((), "nothing was counted"),
    ((0, 0, 0), "nothing ever came"),
    ((5, 5, 0), "they were there before the first count"),
    ((0, 5, 5), "they are still there"),
    ((0, 5, 3, 5, 0), "others came while some left"),
]


@pytest.mark.parametrize(("counts", "why"), UNKNOWN, ids=[why for _, why in UNKNOWN])
def test_no_time_is_claimed_where_it_was_not_seen(counts: tuple[int, ...], why: str) -> None:
    assert held_s(curve(*counts)) is None, why


def test_the_time_lies_between_the_counts_around_the_last_rise_and_the_fall() -> None:
    held = held_s(curve(0, 3, 5, 5, 5, 5, 0, 0))
    assert held is not None
    assert (held.value, held.uncertainty) == (4.0, 1.0)  # came in (1, 2], went in (5, 6]


@given(
    came_s=st.floats(0.5, 20),
    waits_s=st.floats(2.5, 70),
    n=st.integers(1, 1000),
    phase_s=st.floats(0, 0.99),
)
def test_the_true_time_is_within_the_uncertainty(
    came_s: float, waits_s: float, n: int, phase_s: float
) -> None:
    at_s = np.arange(100.0) + phase_s - 1
    count = np.where((at_s >= came_s) & (at_s < came_s + waits_s), n, 0)
    held = held_s(SocketCurve(host="h", state="TIME_WAIT", t_s=at_s, count=count))
    assert held is not None
    assert abs(held.value - waits_s) <= held.uncertainty + 1e-9


def test_a_recordings_rows_become_one_curve_for_each_host_and_state() -> None:
    rows = [
        {"at": (at_s + 100) * build.NS, "host": host, "state": "TIME_WAIT", "count": count}
        for at_s, host, count in [(2, "client", 7), (1, "client", 0), (1, "srv01", 0)]
    ]
    curves = socket_curves(build.table("sockets", rows), 100 * build.NS)
    assert [(one.host, list(one.t_s), list(one.count)) for one in curves] == [
        ("client", [1.0, 2.0], [0, 7]),
        ("srv01", [1.0], [0]),
    ]
    (state,) = socket_states(curves)
    assert (state.host, state.peak, state.last, state.held_s) == ("client", 7, 7, None)


def test_no_rows_are_no_curves() -> None:
    assert socket_curves(build.table("sockets", []), 0) == ()
