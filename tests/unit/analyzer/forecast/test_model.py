"""The model's curve is what entries do one by one; its bands, budgets and findings follow."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.forecast import wording as said
from analyzer.forecast.closings import CLOSES
from analyzer.forecast.document import to_json
from analyzer.forecast.lifetimes import (
    FORWARDINGS,
    Question,
    QuestionError,
    entry_lifetimes,
    final_states,
)
from analyzer.forecast.model import forecast, port_budget, table_memory
from analyzer.ipvs.states import State, Timeouts
from analyzer.ipvs.timers import expiry_uptime_s, granule_s

BOOT_S = 300.0  # jiffies are 0 then, so every granule begins there
# (state while open, state at the end), where replies bypass the director and where they do not
ENDS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "client": (("ESTABLISHED", "FIN_WAIT"), ("ESTABLISHED", "TIME_WAIT")),
    "server": (("ESTABLISHED", "FIN_WAIT"), ("ESTABLISHED", "TIME_WAIT")),
    "reset": (("ESTABLISHED", "CLOSE"), ("ESTABLISHED", "CLOSE")),
    "half": (("ESTABLISHED", "FIN_WAIT"), ("ESTABLISHED", "TIME_WAIT")),
    "never": (("ESTABLISHED", "ESTABLISHED"), ("ESTABLISHED", "ESTABLISHED")),
    "abandon": (("ESTABLISHED", "ESTABLISHED"), ("ESTABLISHED", "ESTABLISHED")),
    "half-open": (("SYN_RECV", "SYN_RECV"), ("SYN_RECV", "SYN_RECV")),
    "silent": (("ESTABLISHED", "ESTABLISHED"), ("ESTABLISHED", "ESTABLISHED")),
    "fin-no-ack": (("ESTABLISHED", "FIN_WAIT"), ("ESTABLISHED", "TIME_WAIT")),
    "reset-syn": (("SYN_RECV", "SYN_RECV"), ("SYN_RECV", "SYN_RECV")),
    "reset-open": (("ESTABLISHED", "CLOSE"), ("ESTABLISHED", "CLOSE")),
    "reset-answer": (("ESTABLISHED", "CLOSE"), ("ESTABLISHED", "CLOSE")),
    "reset-fin": (("ESTABLISHED", "CLOSE"), ("ESTABLISHED", "CLOSE")),
}
FIXED_S = {"TIME_WAIT": 120.0, "CLOSE": 10.0, "SYN_RECV": 60.0}
ACTIVE = ("ESTABLISHED", "SYN_RECV")
HOLD = ("client", "server", "reset", "half", "fin-no-ack")


def question(rate: float = 100.0, **changed: Any) -> Question:
    tcpfin_s, tcp_s = changed.pop("tcpfin_s", 30.0), changed.pop("tcp_s", 900.0)
    if isinstance(changed.get("close"), str):
        changed["close"] = {changed["close"]: 1.0}
    timeouts = Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s)
    return Question(rate_per_s=rate, timeouts=timeouts, **changed)


def simulated(asked: Question, arrivals: np.ndarray, at: np.ndarray) -> tuple[Any, Any]:
    """ActiveConn and InActConn at instants, entry by entry, for one closing kind."""
    (close,) = asked.close
    seen = asked.forwarding in ("nat", "local")
    states = ENDS[close][seen]
    settable = {"ESTABLISHED": asked.timeouts.tcp_s, "FIN_WAIT": asked.timeouts.tcpfin_s}
    opened_s, last_s = (({**FIXED_S, **settable})[state] for state in states)
    lasts_s = asked.hold_s if close in HOLD else 0.0
    repeats_s = 54.7 if close == "fin-no-ack" and seen else 0.0
    if close == "half-open" and seen:
        lasts_s = 31.0

    def expiry(last_packet: np.ndarray, timeout_s: float) -> np.ndarray:
        fires = expiry_uptime_s(BOOT_S + last_packet, timeout_s, hz=asked.hz, phase_s=0.0)
        return np.asarray(fires - BOOT_S)

    closes, idle_expiry = arrivals + lasts_s, expiry(arrivals, opened_s)
    dies = idle_expiry <= closes
    leaves_first = np.where(dies, idle_expiry, closes)
    ends = np.where(dies, idle_expiry, expiry(closes + repeats_s, last_s))
    counts = {True: np.zeros(at.size), False: np.zeros(at.size)}
    for state, begin, end in (
        (states[0], arrivals, leaves_first),
        (states[1], leaves_first, ends),
    ):
        begun = np.searchsorted(np.sort(begin), at, side="right")
        counts[state in ACTIVE] += begun - np.searchsorted(np.sort(end), at, side="right")
    return counts[True], counts[False]


def instants(end_s: float, hz: int, n: int = 400) -> np.ndarray:
    """Instants in the middle of a jiffy, where no timer fires."""
    return np.asarray((np.floor(np.linspace(0, end_s, n) * hz) + 0.5) / hz)


def drawn(asked: Question, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The course's straight lines at instants."""
    series = forecast(asked).series
    return np.interp(at, series.t_s, series.active), np.interp(at, series.t_s, series.inactive)


@pytest.mark.parametrize("forwarding", FORWARDINGS)
@pytest.mark.parametrize("close", CLOSES)
def test_the_tables_lead_each_closing_kind_to_its_state(close: Any, forwarding: Any) -> None:
    seen = forwarding in ("nat", "local")
    assert tuple(state.name for state in final_states(close, forwarding)) == ENDS[close][seen]


@pytest.mark.parametrize(
    ("changed", "lifetime_s"),
    [
        # dr, tcpfin 10, HZ 100: measured 10.00 to 10.67
        ({"tcpfin_s": 10, "hz": 100}, (10.0, 10.64)),
        # nat, tcpfin without effect: measured 120.20 to 125.12
        ({"forwarding": "nat", "tcpfin_s": 10, "hz": 100}, (120.0, 125.12)),
        # dr, tcpfin 30, HZ 250: measured 30.00 to 32.02
        ({"tcpfin_s": 30}, (30.0, 32.048)),
        ({"close": "reset"}, (10.0, 10.256)),
        # a FIN like the client's own: measured in FIN_WAIT in dr, in TIME_WAIT in nat
        ({"close": "half"}, (30.0, 32.048)),
        ({"close": "half", "forwarding": "tun"}, (30.0, 32.048)),
        ({"close": "half", "forwarding": "nat", "hz": 100}, (120.0, 125.12)),
        ({"close": "half-open"}, (60.0, 62.048)),
        # nat, counted from the SYN: measured 93.95 on average
        ({"close": "half-open", "forwarding": "nat", "hz": 100}, (91.0, 96.12)),
        ({"close": "never", "hz": 100}, (900.0, 940.96)),
        ({"close": "fin-no-ack"}, (30.0, 32.048)),
        # nat, counted from the SYN: measured 176.99 to 177.00
        ({"close": "fin-no-ack", "forwarding": "nat", "hz": 100}, (174.7, 179.82)),
        ({"close": "abandon"}, (900.0, 916.384)),
        # silent for longer than tcp: expired before its FIN
        ({"tcp_s": 30, "hold_s": 100}, (30.0, 32.048)),
        ({"protocol": "udp"}, (300.0, 316.384)),
    ],
)
def test_an_entry_lives_as_long_as_was_measured(
    changed: dict[str, Any], lifetime_s: tuple[float, float]
) -> None:
    (life,) = entry_lifetimes(question(**changed))
    assert astuple(life.lifetime_s) == pytest.approx(lifetime_s)


loads = st.fixed_dictionaries(
    {
        "close": st.sampled_from(["client", "server", "reset", "half", "half-open", "fin-no-ack"]),
        "forwarding": st.sampled_from(FORWARDINGS),
        "hz": st.sampled_from([100, 250, 300, 1000]),
        "tcpfin_s": st.integers(10, 120).map(float),
        "hold_s": st.floats(0, 20),
        "duration_s": st.floats(0.5, 60),
    }
)


@given(load=loads, rate=st.floats(1, 300))
def test_the_curve_is_what_evenly_spaced_entries_do(load: dict[str, Any], rate: float) -> None:
    """Within one entry: the model counts a flow, the entries are whole."""
    asked = question(rate * 1.00012345, **load)
    arrivals = (np.arange(math.ceil(asked.rate_per_s * load["duration_s"])) + 0.5) / (
        asked.rate_per_s
    )
    arrivals = arrivals[arrivals < load["duration_s"]]
    at = instants(forecast(asked).empty_after_s, asked.hz)
    for model, entries in zip(drawn(asked, at), simulated(asked, arrivals, at), strict=True):
        assert np.abs(model - entries).max() <= 1 + 1e-6


@given(idle=st.floats(0.1, 2.5), hz=st.sampled_from([100, 250]))
def test_some_entries_die_idle_where_the_hold_is_about_the_timeout(idle: float, hz: int) -> None:
    """Within one entry for each granule: each granule's arrivals are split in two."""
    asked = question(500.0, tcp_s=40.0, hold_s=40 + idle, hz=hz, duration_s=30.0)
    arrivals = (np.arange(15_000) + 0.5) / 500
    at = instants(forecast(asked).empty_after_s, hz)
    granules = 30 / granule_s(40, hz) + 2
    for model, entries in zip(drawn(asked, at), simulated(asked, arrivals, at), strict=True):
        assert np.abs(model - entries).max() <= granules


@given(
    weights=st.dictionaries(st.sampled_from(CLOSES), st.integers(1, 100), min_size=1),
    forwarding=st.sampled_from(FORWARDINGS),
    hz=st.sampled_from([100, 250, 300, 1000]),
    hold_s=st.floats(0, 50),
    duration_s=st.none() | st.floats(0.1, 3000),
)
def test_a_mixture_keeps_the_law(
    weights: dict[Any, int], forwarding: Any, hz: int, hold_s: float, duration_s: float | None
) -> None:
    asked = question(
        10.0, close=weights, forwarding=forwarding, hz=hz, hold_s=hold_s, duration_s=duration_s
    )
    found = forecast(asked)
    series, steady, peak = found.series, found.steady, found.peak
    assert (np.diff(series.t_s) >= 0).all()
    assert (series.active >= 0).all()
    assert (series.inactive >= 0).all()
    assert series.t_s[-1] == pytest.approx(found.empty_after_s)
    assert series.active[-1] + series.inactive[-1] == pytest.approx(0, abs=1e-6)
    for name in ("active", "inactive"):
        band, most = getattr(steady, name), getattr(peak, name)
        assert band.min <= band.mean + 1e-6
        assert band.mean <= band.max + 1e-6
        assert getattr(series, name).max() <= most + 1e-6
        assert most <= band.max + 1e-6  # nothing before the steady state is higher
    if found.reaches_steady and found.duration_s > found.steady_after_s + 250:
        assert peak.total == pytest.approx(steady.total.max, rel=0.01)
    # every arrival lives for its timeout, and half a granule on average
    expected = sum(
        10 * life.share * (life.last_packet_s + life.last.timeout_s + life.last.granule_s / 2)
        for life in found.lifetimes
    )
    assert steady.total.mean == pytest.approx(expected)


def test_the_steady_state_swings_between_timeout_and_timeout_plus_granule() -> None:
    steady = forecast(question(2000.0, tcpfin_s=30)).steady
    assert (steady.inactive.min, steady.inactive.mean, steady.inactive.max) == pytest.approx(
        (2000 * 30, 2000 * (30 + 2.048 / 2), 2000 * (30 + 2.048))
    )
    assert steady.active.max == 0
    assert steady.inactive.sigma == 0


def test_random_arrivals_spread_by_the_root_of_the_number() -> None:
    asked = question(20.0, arrivals="poisson", duration_s=60.0)
    found = forecast(asked)
    random = np.random.default_rng(4)
    at = instants(found.empty_after_s, asked.hz, 60)
    courses = np.array(
        [
            simulated(asked, np.sort(random.uniform(0, 60, random.poisson(20 * 60))), at)[1]
            for _ in range(400)
        ]
    )
    expected = drawn(asked, at)[1]
    assert np.abs(courses.mean(axis=0) - expected).max() <= 5 * np.sqrt(expected.max() / 400)
    steady = (at > 35) & (at < 59)
    assert courses[:, steady].var(axis=0) == pytest.approx(expected[steady], rel=0.35)
    assert found.steady.inactive.sigma == pytest.approx(math.sqrt(20 * 32.048))


def test_a_long_load_has_a_short_course_and_the_same_peak() -> None:
    found = forecast(question(5.0, tcpfin_s=10, duration_s=30 * 86400.0))
    assert found.series.t_s.size < 5000
    assert found.peak.inactive == pytest.approx(5 * 10.256)


def test_half_open_entries_of_nat_wait_longer_for_the_retransmissions() -> None:
    dr, nat = (
        forecast(question(10.0, close="half-open", forwarding=way)).steady.active.mean
        for way in ("dr", "nat")
    )
    assert nat - dr == pytest.approx(310)


# -- the budgets ---------------------------------------------------------------------------------


def test_the_port_budget_is_ports_over_lifetime_and_over_time_wait() -> None:
    found = port_budget(2000.0, 1, 28232, 32.048)
    assert found.entry_limit_per_s == pytest.approx(880.93, abs=0.01)
    assert found.client_limit_per_s == pytest.approx(470.53, abs=0.01)
    assert (found.binds, found.exceeded, found.sources_needed) == ("clients", True, 5)
    assert found.returns_after_s == pytest.approx(14.116)


def test_entries_bind_where_they_outlive_the_clients_time_wait() -> None:
    found = port_budget(200.0, 1, 28232, 122.048)
    assert (found.binds, found.exceeded) == ("entries", False)
    assert port_budget(240.0, 1, 28232, 122.048).exceeded


def test_a_client_that_holds_no_port_sets_no_limit() -> None:
    found = port_budget(200.0, 1, 28232, 10.0, client_held_s=0.0)
    assert (found.client_limit_per_s, found.binds) == (None, "entries")


@given(rate=st.floats(0.1, 1e6), sources=st.integers(1, 10**6), lifetime_s=st.floats(1, 1e4))
def test_as_many_sources_as_are_needed_are_enough(
    rate: float, sources: int, lifetime_s: float
) -> None:
    needed = port_budget(rate, sources, 28232, lifetime_s).sources_needed
    assert not port_budget(rate, needed, 28232, lifetime_s * (1 - 1e-12)).exceeded


def test_the_memory_is_that_of_the_entries() -> None:
    found = table_memory(448_000)
    assert found.entry_bytes == 448_000 * 320
    assert found.slab_bytes / 1e6 == pytest.approx(150, abs=3)  # measured
    assert found.chain_length == pytest.approx(109.4, abs=0.1)
    assert 2**found.enough_bits >= 448_000


@pytest.mark.parametrize(
    ("entry_bytes", "in_slab"), [(280, 341), (288, 341), (320, 341), (330, 409), (5000, 4096)]
)
def test_what_an_entry_takes_in_the_slab_follows_from_what_it_needs(
    entry_bytes: int, in_slab: int
) -> None:
    """341 bytes were measured of Linux 6.1, whose boot line says 280, and of 7.2 with its 288."""
    found = table_memory(1000, entry_bytes=entry_bytes)
    assert found.entry_bytes == 1000 * entry_bytes
    assert found.slab_bytes // 1000 == in_slab


@pytest.mark.parametrize(("entries", "bits"), [(0, 8), (1, 8), (257, 9), (10**10, 27)])
def test_conn_tab_bits_stay_in_the_kernels_range(entries: int, bits: int) -> None:
    assert table_memory(entries).enough_bits == bits


# -- what is said of it --------------------------------------------------------------------------


def finding_ids(asked: Question) -> dict[str, str]:
    return {finding.id: finding.severity for finding in said.findings(forecast(asked))}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"rate": 10}, {}),
        ({"rate": 2000}, {"port-budget": "warning", "table-memory": "warning"}),
        # not changed how long, so it lasts: longer than the 24 min in which ports come round
        (
            {"rate": 20, "hold_s": 3600, "tcpfin_s": 120},
            {"idle-established": "warning", "port-budget": "warning"},
        ),
        # a short burst uses no port twice
        ({"rate": 2000, "duration_s": 2}, {}),
        ({"rate": 10, "forwarding": "nat", "tcpfin_s": 120}, {"tcpfin-has-no-effect": "info"}),
        ({"rate": 10, "forwarding": "nat"}, {"tcpfin-has-no-effect": "warning"}),
        ({"rate": 10, "close": "reset"}, {"tcpfin-has-no-effect": "warning"}),
        ({"rate": 10, "tcp_s": 30, "hold_s": 60}, {"idle-established", "tcpfin-has-no-effect"}),
        ({"rate": 300, "tcpfin_s": 120, "sources": 1}, {"port-budget", "table-memory"}),
        ({"rate": 300, "tcpfin_s": 120, "sources": 2}, {"table-memory"}),
    ],
)
def test_what_goes_wrong_is_found(changed: dict[str, Any], expected: Any) -> None:
    found = finding_ids(question(**changed))
    assert (found if isinstance(expected, dict) else set(found)) == expected


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tcpfin_s": 120}, "revives it"),
        ({"forwarding": "nat"}, "scheduled anew"),
        ({"close": "reset", "rate": 5000}, "1 s late"),
        ({"close": "half-open", "rate": 5000}, "meets an entry in SYN_RECV"),
    ],
)
def test_the_consequence_of_ports_that_return_is_stated(
    changed: dict[str, Any], words: str
) -> None:
    asked = question(**({"rate": 300.0} | changed))
    (found,) = [f for f in said.findings(forecast(asked)) if f.id == "port-budget"]
    assert words in found.advice


def test_the_verdict_names_the_state_that_fills_the_table() -> None:
    found = forecast(question(2.0, close={"abandon": 1, "client": 9}, duration_s=100.0))
    assert "FIN_WAIT" in said.verdict(found)
    assert "at most 58 in InActConn and 20 in ActiveConn" in said.verdict(found)


def test_the_document_has_units_in_its_keys_and_is_json() -> None:
    found = forecast(question(close={"never": 1, "client": 1}, arrivals="poisson"))
    document = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert document["schema_version"] == 1
    assert set(document["steady_entries"]["active"]) == {"mean", "min", "max", "sigma"}
    assert set(document["course"]) == {"t_s", "active", "inactive"}
    assert document["lives"][0]["last"]["state"] == State.ESTABLISHED.name
    assert document["question"]["rate_per_s"] == 100


@pytest.mark.parametrize(
    "changed",
    [
        {"rate": 0},
        {"rate": -1},
        {"rate": math.nan},
        {"rate": math.inf},
        {"duration_s": 0},
        {"sources": 0},
        {"close": {}},
        {"close": {"client": 0}},
        {"close": {"client": -1, "server": 2}},
        {"hz": 99},
    ],
)
def test_a_question_without_meaning_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(QuestionError, match="expected"):
        question(**changed)


@pytest.mark.parametrize(
    ("value", "text"), [(2.0484, "2.048"), (99.99, "99.99"), (880.9, "881"), (2e6, "2,000,000")]
)
def test_numbers_are_never_in_powers_of_ten(value: float, text: str) -> None:
    assert said.number(value) == text
