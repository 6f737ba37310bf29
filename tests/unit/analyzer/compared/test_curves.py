"""ActiveConn and InActConn over time, and at their peak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.charts.curves import Curve
from analyzer.compared.curves import (
    observed_curves,
    peak_tables,
    peaks,
    predicted_curves,
    seconds,
    thinned,
)
from analyzer.ipvs.states import Flag
from analyzer.parts import IN_MEMORY
from analyzer.predicted.entries import predict
from analyzer.results import Peak
from tests.unit.analyzer.builders_packets import (
    BOOT_NS,
    NS,
    PORT,
    VIP,
    Seg,
    clock,
    rules,
    segments,
    table,
)

if TYPE_CHECKING:
    import pytest


def polled(
    at_s: float, name: str, server: str, active: int, inactive: int, **more: Any
) -> dict[str, Any]:
    return {
        "at": BOOT_NS + round(at_s * NS),
        "director": name,
        "protocol": "TCP",
        "vip": VIP,
        "port": PORT,
        "scheduler": "rr",
        "real_server": f"192.168.10.{server}",
        "real_port": 80,
        "forwarding": "dr",
        "weight": 1,
        "active": active,
        "inactive": inactive,
    } | more


def services(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return table("services", rows)


BURST = [
    polled(1.0, "bal01", "21", 0, 0),
    polled(1.0, "bal01", "22", 0, 0),
    polled(2.0, "bal01", "21", 5, 20),
    polled(2.0, "bal01", "22", 4, 21),
    polled(3.0, "bal01", "21", 1, 24),
    polled(3.0, "bal01", "22", 0, 25),
    polled(2.5, "bal02", "21", 0, 2),
    polled(3.5, "bal02", "21", 0, 0),
]


def test_each_director_and_real_server_has_its_curve() -> None:
    found = observed_curves(services(BURST), BOOT_NS)
    assert [(one.director, one.real_server) for one in found] == [
        ("bal01", "192.168.10.21:80"),
        ("bal01", "192.168.10.22:80"),
        ("bal02", "192.168.10.21:80"),
    ]
    first = found[0]
    assert first.t_s.tolist() == [1.0, 2.0, 3.0]
    assert first.active.tolist() == [0, 5, 1]
    assert first.inactive.tolist() == [0, 20, 24]


def test_a_curve_is_in_order_of_time_whatever_the_rows_are() -> None:
    (found,) = observed_curves(services([BURST[4], BURST[0], BURST[2]]), BOOT_NS)
    assert found.t_s.tolist() == [1.0, 2.0, 3.0]
    assert found.inactive.tolist() == [0, 20, 24]


def test_active_and_inactive_peak_each_by_itself() -> None:
    found = {one.director: one for one in peaks(services(BURST))}
    assert found["bal01"] == Peak(director="bal01", active=9, inactive=49)
    assert found["bal02"] == Peak(director="bal02", active=0, inactive=2)


def test_the_sum_adds_what_each_director_last_showed() -> None:
    assert peaks(services(BURST))[-1] == Peak(director=None, active=9, inactive=51)


def test_nothing_polled_has_no_peak() -> None:
    assert peaks(services([])) == ()
    assert observed_curves(services([]), BOOT_NS) == []
    assert peak_tables(services([]), BOOT_NS) == ()


def test_the_table_at_the_peak_is_the_one_with_most_entries() -> None:
    first, second = peak_tables(services(BURST), BOOT_NS)
    assert (first.director, first.t_s) == ("bal01", 2.0)  # 50 entries at 2 s as at 3 s: the first
    assert (first.protocol, first.vip, first.port, first.scheduler) == ("TCP", VIP, PORT, "rr")
    assert [(row.real_server, row.active, row.inactive) for row in first.rows] == [
        ("192.168.10.21", 5, 20),
        ("192.168.10.22", 4, 21),
    ]
    assert [(row.real_port, row.forwarding, row.weight) for row in first.rows] == [
        (80, "dr", 1)
    ] * 2
    assert (second.director, second.t_s) == ("bal02", 2.5)


def test_predicted_curves_are_cut_by_real_server() -> None:
    rows = [Seg(1000.0 + n, n + 1, Flag.SYN) for n in range(4)]
    prediction = predict(segments(rows), clock(), rules(), "bal01")
    servers = pd.Series(["a:80", "b:80", "a:80", "b:80"], dtype="category")
    first, second = predicted_curves(prediction, servers, BOOT_NS)
    assert (first.director, first.real_server) == ("bal01", "a:80")
    assert first.t_s.tolist() == [1000.0, 1002.0, 1060.0, 1062.0]
    assert first.active.tolist() == [1, 2, 1, 0]
    assert first.inactive.tolist() == [0, 0, 0, 0]
    assert second.t_s.tolist() == [1001.0, 1003.0, 1061.0, 1063.0]


def test_seconds_are_counted_from_the_runs_start() -> None:
    assert seconds(np.array([BOOT_NS + NS // 2]), BOOT_NS).tolist() == [0.5]


def test_a_long_curve_keeps_its_peaks_and_its_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    active, inactive = np.random.default_rng(1).integers(0, 10**6, (2, 200_000))
    t_s = np.arange(200_000, dtype=np.float64)
    whole = Curve(director="bal01", real_server="a:80", t_s=t_s, active=active, inactive=inactive)
    assert thinned(whole, IN_MEMORY) is whole
    monkeypatch.setattr("analyzer.compared.curves.LONG", 100_000)
    short = thinned(whole, IN_MEMORY)
    assert len(short.t_s) < 200_000
    assert (short.active.max(), short.inactive.max()) == (active.max(), inactive.max())
    assert (short.active[-1], short.inactive[-1]) == (active[-1], inactive[-1])
    assert np.isin(short.t_s, t_s[[active.argmax(), inactive.argmax()]]).sum() == 2
