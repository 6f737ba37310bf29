"""What a report says of a log of ``ipvsadm -Ln``: per service, by protocol and forwarding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reports.charts.wording import headlines
from tests.unit.analyzer.estimate.counted.builders_load import Log, Stage
from tests.unit.analyzer.estimate.counted.builders_log import log_of, of_field, reported

if TYPE_CHECKING:
    from analyzer.estimate.counted.series import CounterSeries
    from analyzer.report import Analysis
    from analyzer.results import Lifetime

BURST = (Stage(over_s=0.4, rate_per_s=100.0),)


def finding_ids(analysis: Analysis) -> set[str]:
    return {finding.id for finding in analysis.findings}


def advice(analysis: Analysis) -> str:
    return " ".join(f"{finding.title} {finding.advice}" for finding in analysis.findings)


def covers(row: Lifetime, timeout_s: float) -> bool:
    measured = row.timeout_measured_s
    return measured is not None and abs(measured.value - timeout_s) <= measured.uncertainty


def burst(service: str, forwarding: str, timeout_s: float, ends_s: float = 340.0) -> CounterSeries:
    """Forty entries that come at once."""
    protocol = service.split(maxsplit=1)[0]
    log = Log(
        stages=BURST, timeout_s=timeout_s, protocol=protocol, forwarding=forwarding, ends_s=ends_s
    )
    return replace(log.series(), service=service)


# -- recorded logs -------------------------------------------------------------------------------


def test_a_steady_load_of_ten_minutes_has_two_readings_and_none_is_claimed() -> None:
    found = of_field("g1-load45-10min")
    assert found.lifetimes == ()
    (service,) = found.counted
    assert (service.service, service.forwarding, service.settled) == (
        "TCP 192.0.2.80:80",
        "dr",
        False,
    )
    steady, burst_reading = service.readings
    assert (steady.load, steady.timeout_names) == ("steady", ("tcpfin",))
    assert abs(steady.timeout_s.value - 45) <= steady.timeout_s.uncertainty < 6
    assert (steady.rate_per_s, steady.load_s, steady.n) == pytest.approx((5, 600, 3000), rel=0.02)
    assert burst_reading.load == "burst"
    assert burst_reading.lifetime_s.value == pytest.approx(600, abs=5)
    assert "is not known, because two readings fit" in found.verdict
    assert "45.4 ± 3.0 s (tcpfin) under a steady load of 5/s over 600 s" in found.verdict
    assert "lifetime-ambiguous" in finding_ids(found)
    assert "tcpfin-governs" not in finding_ids(found)


def test_a_steady_load_that_shows_comings_and_goings_says_the_lifetime() -> None:
    found = of_field("f2-load45")
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.service) == ("FIN_WAIT", "tcpfin", "TCP 192.0.2.80:80")
    assert covers(row, 45)
    assert row.n == pytest.approx(900, rel=0.02)
    assert "tcpfin governs" in found.verdict
    assert "under a steady load of 5" in found.verdict


def test_a_burst_of_twenty_seconds_has_two_readings() -> None:
    found = of_field("g3-burst-of-20s-tcpfin60")
    assert found.lifetimes == ()
    ((steady, burst_reading),) = (service.readings for service in found.counted)
    assert abs(burst_reading.timeout_s.value - 60) <= burst_reading.timeout_s.uncertainty < 7
    assert abs(steady.timeout_s.value - 20) <= steady.timeout_s.uncertainty < 5


def test_udp_is_governed_by_udp() -> None:
    found = of_field("d8-udp-counters")
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.protocol, row.n) == ("UDP", "udp", "UDP", 80)
    assert covers(row, 300)
    assert row.lifetime_s is not None
    assert row.lifetime_s.mean == pytest.approx(300, abs=5)
    assert "udp timeout governs" in found.verdict
    assert "tcpfin governs" not in found.verdict
    assert "udp-governs" in finding_ids(found)
    assert "third number of ipvsadm --set" in advice(found)
    assert "second number" not in advice(found)
    assert any("renewals of UDP" in gap.what for gap in found.not_measured)


def test_udp_and_nat_on_one_director_are_distinguished() -> None:
    found = of_field("e1-mixed")
    rows = {row.protocol: row for row in found.lifetimes}
    assert {(name, row.state, row.n) for name, row in rows.items()} == {
        ("UDP", "UDP", 80),
        ("TCP", "TIME_WAIT", 60),
    }
    assert covers(rows["UDP"], 300)
    assert rows["TCP"].timeout_s == 120
    assert {"udp-governs", "tcpfin-has-no-effect"} <= finding_ids(found)
    assert "second number" not in advice(found)


def test_dr_and_nat_on_one_director_are_distinguished() -> None:
    found = of_field("f4-dr-and-masq")
    rows = {row.forwarding: row for row in found.lifetimes}
    assert {(name, row.state, row.timeout_name, row.n) for name, row in rows.items()} == {
        ("dr", "FIN_WAIT", "tcpfin", 40),
        ("nat", "TIME_WAIT", "fixed", 30),
    }
    assert covers(rows["dr"], 30)
    assert {"tcpfin-governs", "tcpfin-has-no-effect"} <= finding_ids(found)


def test_stats_alone_say_what_came_and_that_nothing_is_known_of_what_expired() -> None:
    found = of_field("d10-stats")
    assert found.lifetimes == ()
    assert "Conns (--stats) says that 30 connections a second came" in found.verdict
    (service,) = found.counted
    assert (service.service, service.forwarding, service.readings) == ("TCP 10.0.0.3:80", None, ())


def test_the_page_says_why_a_lifetime_is_not_known_and_of_which_service_one_is() -> None:
    by_label = {headline.label: headline for headline in headlines(of_field("g1-load45-10min"))}
    assert by_label["Lifetime of an entry"].value is None
    assert "two readings fit" in by_label["Lifetime of an entry"].detail
    udp = {headline.label: headline for headline in headlines(of_field("d8-udp-counters"))}
    assert "by InActConn of UDP 10.96.0.10:53" in udp["Lifetime of an entry"].detail


def test_a_recording_that_ends_before_most_have_expired_settles_nothing_by_fixed_timeouts() -> None:
    log = Log(
        stages=(Stage(over_s=0.4, rate_per_s=200.0),),
        timeout_s=120.0,
        forwarding="nat",
        reset_share=0.1,
        ends_s=60.0,
    )
    assert reported(log_of(log.series())).lifetimes == ()


# -- services of every kind ----------------------------------------------------------------------


def test_real_servers_of_one_service_each_by_their_own_forwarding() -> None:
    found = reported(
        log_of(burst("TCP 192.0.2.80:80", "dr", 30.0), burst("TCP 192.0.2.80:80", "nat", 120.0))
    )
    rows = {row.forwarding: row for row in found.lifetimes}
    assert rows["dr"].timeout_name == "tcpfin"
    assert covers(rows["dr"], 30)
    assert (rows["nat"].state, rows["nat"].timeout_s) == ("TIME_WAIT", 120)


def test_sctp_is_not_tcp() -> None:
    found = reported(log_of(burst("SCTP 192.0.2.80:3868", "nat", 61.0)))
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.timeout_s) == ("SCTP", "fixed", 61)
    assert "tcpfin governs" not in found.verdict


def test_a_timeout_that_sctp_does_not_have_is_not_named() -> None:
    found = reported(log_of(burst("SCTP 192.0.2.80:3868", "nat", 120.0)))
    assert found.lifetimes == ()
    assert "tcpfin" not in found.verdict


def test_a_firewall_mark_may_stand_for_any_protocol() -> None:
    found = reported(log_of(burst("FWM  3", "dr", 45.0)))
    assert found.lifetimes == ()
    ((reading,),) = (service.readings for service in found.counted)
    assert reading.timeout_names == ("tcpfin", "udp")
    assert abs(reading.timeout_s.value - 45) <= reading.timeout_s.uncertainty
    assert "second number" not in advice(found)


def test_what_the_log_prints_of_timeouts_names_the_one_of_a_firewall_mark() -> None:
    timeouts = "Timeout (tcp tcpfin udp): 900 45 300\n"
    found = reported(log_of(burst("FWM  3", "dr", 45.0), timeouts=timeouts))
    (row,) = found.lifetimes
    assert (row.timeout_name, row.timeout_s, row.protocol) == ("tcpfin", 45, "FWM")


def test_what_the_log_prints_of_timeouts_chooses_between_two_readings() -> None:
    steady = Log(
        stages=(Stage(over_s=300.0, rate_per_s=5.0),), timeout_s=45.0, lateness="none"
    ).series()
    assert reported(log_of(steady)).lifetimes == ()
    found = reported(log_of(steady, timeouts="Timeout (tcp tcpfin udp): 900 45 300\n"))
    (row,) = found.lifetimes
    assert (row.timeout_name, row.timeout_s) == ("tcpfin", 45)
    assert covers(row, 45)


def test_a_reading_that_contradicts_what_is_configured_is_no_measurement() -> None:
    found = reported(
        log_of(
            burst("TCP 192.0.2.80:80", "dr", 60.0),
            timeouts="Timeout (tcp tcpfin udp): 900 20 300\n",
        )
    )
    assert found.lifetimes == ()
    assert "which timeout governs is not known" in found.verdict


def test_ten_seconds_in_dr_may_be_resets() -> None:
    found = reported(log_of(burst("TCP 192.0.2.80:80", "dr", 10.0)))
    assert found.lifetimes == ()
    ((reading,),) = (service.readings for service in found.counted)
    assert reading.timeout_names == ("tcpfin", "fixed")


def test_a_steady_load_in_nat_is_settled_by_the_fixed_time_wait() -> None:
    log = Log(
        stages=(Stage(over_s=500.0, rate_per_s=5.0),),
        timeout_s=120.0,
        forwarding="nat",
        lateness="none",
    )
    (row,) = reported(log_of(log.series())).lifetimes
    assert (row.state, row.timeout_s) == ("TIME_WAIT", 120)
    assert covers(row, 120)


def test_a_steady_udp_load_with_conns_beside_it_is_settled() -> None:
    log = Log(
        stages=(Stage(over_s=300.0, rate_per_s=5.0),),
        timeout_s=30.0,
        protocol="UDP",
        forwarding="nat",
        lateness="none",
        with_conns=True,
    )
    found = reported(log_of(log.series()))
    (row,) = found.lifetimes
    assert (row.timeout_name, row.state) == ("udp", "UDP")
    assert covers(row, 30)
    assert "counted by Conns" in found.verdict


def test_a_steady_load_with_rates_beside_it_is_settled() -> None:
    """The usual loop: ipvsadm -Ln; ipvsadm -Ln --rate."""
    stages = (Stage(over_s=600.0, rate_per_s=5.0),)
    log = Log(stages=stages, timeout_s=45.0, lateness="none")
    assert reported(log_of(log.series())).lifetimes == ()
    found = reported(log_of(replace(log, with_rates=True).series()))
    (row,) = found.lifetimes
    assert covers(row, 45)
    assert "under a steady load of 5.01/s over 600 s" in found.verdict


def test_rates_of_an_estimator_that_was_stopped_settle_nothing() -> None:
    log = Log(
        stages=(Stage(over_s=600.0, rate_per_s=5.0),),
        timeout_s=45.0,
        lateness="none",
        with_rates=True,
        estimates=(np.inf, np.inf),
    )
    found = reported(log_of(log.series()))
    assert (found.lifetimes, len(found.counted[0].readings)) == ((), 2)


def test_a_service_that_stood_still_is_not_dwelt_on_beside_others() -> None:
    moved = burst("TCP 192.0.2.80:80", "dr", 30.0)
    idle = replace(
        moved, service="TCP 192.0.2.81:80", inactive=np.zeros(len(moved.t_s), dtype=np.int64)
    )
    assert [one.service for one in reported(log_of(moved, idle)).counted] == ["TCP 192.0.2.80:80"]


@pytest.mark.parametrize("polls", [1, 2, 3])
def test_a_log_of_few_polls_says_that_nothing_can_be_inferred(polls: int) -> None:
    series = burst("TCP 192.0.2.80:80", "dr", 30.0)
    cut = slice(4, 4 + polls)
    short = replace(
        series, t_s=series.t_s[cut], inactive=series.inactive[cut], active=series.active[cut]
    )
    found = reported(log_of(short))
    assert found.lifetimes == ()
    assert "which timeout governs is not known" in found.verdict


def test_polls_as_far_apart_as_entries_live_tell_nothing() -> None:
    load = (Stage(over_s=1.8, rate_per_s=200.0),)
    log = Log(stages=load, timeout_s=10.0, poll_s=30.0, begins_s=-25.0, forwarding="nat")
    found = reported(log_of(log.series()))
    assert found.lifetimes == ()
    assert "the polls are about as far apart as the entries live" in found.verdict
    assert "reset" not in found.verdict


def test_one_entry_in_time_wait_is_no_reset() -> None:
    load = (Stage(over_s=1.4, rate_per_s=1.0),)
    log = Log(stages=load, timeout_s=120.0, forwarding="nat")
    (row,) = reported(log_of(log.series())).lifetimes
    assert (row.state, row.n) == ("TIME_WAIT", 1)
    assert covers(row, 120)


def test_where_entries_may_be_hidden_a_bound_is_given() -> None:
    """Two loads, one after the other: the burst that they look like lives far longer."""
    loads = (Stage(over_s=160.0, rate_per_s=20.0), Stage(over_s=150.0, rate_per_s=60.0))
    log = Log(stages=loads, timeout_s=60.0, poll_s=5.0, arrivals="poisson")
    found = reported(log_of(log.series()))
    assert found.lifetimes == ()
    if found.counted[0].readings:
        assert ": at most " in found.verdict
