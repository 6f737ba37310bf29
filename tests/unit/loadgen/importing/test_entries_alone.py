"""What a log of entries says without packets: lifetimes and timeouts, by the expire column."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from analyzer.units import KNOWN_HZ
from tests.importing import import_folder
from tests.unit.loadgen.importing.builders_log import Logged, Packet, analysed, every, log_text
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.results import Lifetime, Spread

FIELD = Path(__file__).resolve().parents[3] / "data" / "field"


def field(path: Path, name: str) -> Analysis:
    import_folder([FIELD / name], path / "run")
    return analyse(Recording.open(path / "run"))


def group(found: Analysis, state: str) -> Lifetime:
    (row,) = (one for one in found.lifetimes if one.state == state)
    return row


def lifetime(row: Lifetime) -> Spread:
    assert row.lifetime_s is not None
    return row.lifetime_s


def timeout(row: Lifetime) -> tuple[float, float]:
    """The shortest and the longest that was measured."""
    assert row.timeout_measured_s is not None
    value, uncertainty = row.timeout_measured_s.value, row.timeout_measured_s.uncertainty
    return value - uncertainty, value + uncertainty


def closed(port: int, last_s: float, tcpfin_s: float) -> Logged:
    opened = Packet(last_s - 0.4, "ESTABLISHED", 900)
    return Logged(port, (opened, Packet(last_s, "FIN_WAIT", tcpfin_s)))


# The logs from the field --------------------------------------------------------------------------


def test_idle_connections_under_the_tcp_timeout_are_seen_to_go(tmp_path: Path) -> None:
    """Ten, opened every 20 s and never used: 900 s each, in a log with a poll every 30 s."""
    found = field(tmp_path, "d6-lnc-idle.log.gz")
    row = group(found, "ESTABLISHED")
    assert (row.n, row.n_expired, row.timeout_name, row.protocol) == (10, 10, "tcp", "TCP")
    low_s, high_s = timeout(row)
    assert 885 < low_s <= 900 <= high_s < 915
    life = lifetime(row)
    assert abs(life.mean - 900) <= life.uncertainty < 31
    assert "no entry was seen to expire" not in found.verdict
    assert found.verdict.startswith("The tcp timeout governs")
    assert "900 s (899 to 912) by the expire column, configured not known" in found.verdict
    assert "in agreement" not in found.verdict  # with itself


def test_udp_entries_that_were_there_before_the_log_are_seen_to_go(tmp_path: Path) -> None:
    """Twenty, 10 s apart, the youngest just made: 300 s each; none older bounds the timeout."""
    found = field(tmp_path, "d4-udp.log.gz")
    row = group(found, "UDP")
    assert (row.n, row.n_expired, row.timeout_name, row.counted) == (20, 20, "udp", "inactive")
    assert row.timeout_measured_s is None  # a longer timeout would have looked the same
    assert (row.timeout_at_least_s, row.timeout_assumed_s) == (300, 300)
    life = lifetime(row)
    assert life.min - life.uncertainty <= 300 <= life.mean + life.uncertainty < 306
    assert "at least 300 s by the expire column" in found.verdict
    assert "assumed to be the kernel's default of 300 s" in found.verdict


# Logs whose truth is known ------------------------------------------------------------------------


@given(
    tcpfin_s=st.integers(2, 400),
    poll_s=st.floats(0.5, 40),
    offset_s=st.floats(0, 1),
    whole=st.booleans(),
    hz=st.sampled_from(KNOWN_HZ),
    phase_s=st.floats(0, 0.4),
    lasts_s=st.lists(st.floats(5, 120), min_size=1, max_size=12),
)
@examples(25, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_measured_holds_the_truth(
    tmp_path_factory: pytest.TempPathFactory,
    tcpfin_s: int,
    poll_s: float,
    offset_s: float,
    whole: bool,
    hz: int,
    phase_s: float,
    lasts_s: list[float],
) -> None:
    entries = [closed(40000 + i, last_s, tcpfin_s) for i, last_s in enumerate(lasts_s)]
    polls = every(poll_s, 120 + tcpfin_s + 150, offset_s)
    text = log_text(entries, polls, hz=hz, phase_s=phase_s, whole=whole)
    found = analysed(tmp_path_factory.mktemp("log"), text)
    true_s = [one.goes_s(one.packets[-1], hz, phase_s) - one.packets[-1].at_s for one in entries]
    for row in (one for one in found.lifetimes if one.state == "FIN_WAIT"):
        assert (row.timeout_name, row.counted) == ("tcpfin", "inactive")
        if row.timeout_measured_s:
            low_s, high_s = timeout(row)
            assert low_s - 0.05 <= tcpfin_s <= high_s + 0.05
        if row.lifetime_s:
            life = row.lifetime_s
            assert life.min - life.uncertainty <= max(true_s) + 0.05
            assert life.max + life.uncertainty >= min(true_s) - 0.05


def test_a_timeout_nobody_printed_is_measured_by_the_expire_column(tmp_path: Path) -> None:
    entries = [closed(40000 + i, 10.3 + 1.7 * i, 47) for i in range(20)]
    found = analysed(tmp_path, log_text(entries, every(5, 130)))
    row = group(found, "FIN_WAIT")
    assert (row.n, row.n_expired) == (20, 20)
    low_s, high_s = timeout(row)
    assert low_s <= 47 <= high_s
    assert high_s - low_s < 5
    assert found.findings[0].id == "tcpfin-governs"


def test_datagrams_that_renew_are_the_last_packets(tmp_path: Path) -> None:
    """A client that asks every 7 s for a minute: the timeout counts from its last question."""
    renewed = tuple(Packet(3.2 + 7.1 * i, "UDP", 30) for i in range(9))
    found = analysed(tmp_path, log_text([Logged(5353, renewed, "UDP")], every(5, 140)))
    row = group(found, "UDP")
    assert (row.n, row.n_expired, row.timeout_name) == (1, 1, "udp")
    low_s, high_s = timeout(row)
    assert 25 < low_s <= 30 <= high_s < 38
    life = lifetime(row)
    assert abs(life.mean - 30) <= life.uncertainty + 2.1  # and up to a granule late
    assert life.mean < 40


def test_small_renewals_at_every_poll_are_no_long_life(tmp_path: Path) -> None:
    """Traffic every second, polled every second, moves no expire column by much."""
    busy = tuple(Packet(2.1 + i, "ESTABLISHED", 20) for i in range(60))
    found = analysed(tmp_path, log_text([Logged(40000, busy)], every(1, 100)))
    row = group(found, "ESTABLISHED")
    low_s, high_s = timeout(row)
    assert low_s <= 20 <= high_s
    assert lifetime(row).mean < 25


def test_what_was_closed_between_two_polls_is_no_lifetime(tmp_path: Path) -> None:
    """Reset 3 s after the poll, gone 10 s later, before the next: not 900 s, nor 20."""
    reset = [
        Logged(40000 + i, (Packet(1.5 + i, "ESTABLISHED", 900), Packet(33.0 + i, "CLOSE", 10)))
        for i in range(5)
    ]
    found = analysed(tmp_path, log_text(reset, every(30, 120)))
    assert found.lifetimes == ()
    (why,) = (one for one in found.not_measured if one.what.startswith("lifetime of 5 entries"))
    assert "5 in ESTABLISHED" in why.what
    assert "closed or reset" in why.why
    assert "no entry was seen, so" not in found.verdict.casefold()
    assert "5 entries were seen, but no expiry by a timer" in found.verdict


def test_an_entry_that_went_in_a_gap_of_the_log_widens_nothing(tmp_path: Path) -> None:
    entries = [closed(40000 + i, 10.2 + i, 20) for i in range(10)]
    later = [closed(41000 + i, 70.2 + i, 20) for i in range(3)]
    polls = [at_s for at_s in every(1, 200) if not 85 < at_s < 160]
    found = analysed(tmp_path, log_text([*entries, *later], polls))
    row = group(found, "FIN_WAIT")
    assert (row.n, row.n_expired) == (13, 10)
    assert lifetime(row).uncertainty < 3


def test_what_is_still_there_at_the_end_was_not_seen_to_go(tmp_path: Path) -> None:
    entries = [closed(40000 + i, 10.2 + i, 60) for i in range(4)]
    found = analysed(tmp_path, log_text(entries, every(2, 50)))
    row = group(found, "FIN_WAIT")
    assert (row.n, row.n_expired, row.lifetime_s) == (4, 0, None)
    low_s, high_s = timeout(row)  # which the expire column tells all the same
    assert low_s <= 60 <= high_s
    assert high_s - low_s <= 4
    assert "no entry was seen to expire" in found.verdict


def test_a_fixed_timeout_needs_no_poll_before(tmp_path: Path) -> None:
    """TIME_WAIT entries that were there at the start: 120 s is the kernel's own."""
    there = [Logged(40000 + i, (Packet(-30.0 - i, "TIME_WAIT", 120),)) for i in range(6)]
    row = group(analysed(tmp_path, log_text(there, every(3, 130))), "TIME_WAIT")
    assert (row.n_expired, row.timeout_name, row.timeout_s) == (6, "fixed", 120)
    life = lifetime(row)
    assert life.min - life.uncertainty <= 122.1
    assert 120 <= life.max + life.uncertainty < 128


def test_a_longer_timeout_than_the_default_is_not_taken_for_it(tmp_path: Path) -> None:
    """There from the start, 480 s left: nothing says how long ago the last packet came."""
    there = [Logged(40000 + i, (Packet(-20.0 - i, "UDP", 500),), "UDP") for i in range(3)]
    found = analysed(tmp_path, log_text(there, every(5, 520)))
    row = group(found, "UDP")
    assert (row.n, row.n_expired, row.lifetime_s) == (3, 3, None)
    assert row.timeout_at_least_s == 480
    assert row.timeout_assumed_s is None
    assert "the times of their last packets are not known" in found.verdict


def test_printed_timeouts_are_what_last_packets_are_reckoned_by(tmp_path: Path) -> None:
    there = [Logged(40000 + i, (Packet(-20.0 - i, "UDP", 500),), "UDP") for i in range(3)]
    before = "Timeout (tcp tcpfin udp): 900 120 500\n"
    found = analysed(tmp_path, log_text(there, every(5, 520), before=before))
    row = group(found, "UDP")
    assert (row.timeout_s, row.n_expired) == (500, 3)
    life = lifetime(row)
    assert 495 < life.min - life.uncertainty <= 516.4
    assert 500 <= life.max + life.uncertainty < 525


def test_a_timeout_changed_midway_has_two_groups(tmp_path: Path) -> None:
    """Half of the entries waited 20 s, half 90 s: each half has its own lifetimes."""
    entries = [closed(40000 + i, 10.2 + i, 20 if i < 10 else 90) for i in range(20)]
    found = analysed(tmp_path, log_text(entries, every(1, 150)))
    rows = {one.timeout_s: one for one in found.lifetimes}
    for timeout_s, n in ((20, 10), (90, 10)):
        row = next(row for value_s, row in rows.items() if value_s and abs(value_s - timeout_s) < 2)
        assert (row.n, row.n_expired) == (n, n)
        assert lifetime(row).mean == pytest.approx(timeout_s + 1, abs=3)
        assert row.timeout_measured_s is None


def test_sctp_has_its_own_timeouts(tmp_path: Path) -> None:
    """Its ESTABLISHED is not governed by the first number of ``--set``."""
    idle = [Logged(40000 + i, (Packet(1.5 + i, "ESTABLISHED", 900),), "SCTP") for i in range(3)]
    row = group(analysed(tmp_path, log_text(idle, every(10, 930))), "ESTABLISHED")
    assert (row.protocol, row.timeout_name, row.timeout_s) == ("SCTP", "fixed", None)
    assert (row.counted, row.n_expired) == ("active", 3)
    assert math.isclose(lifetime(row).mean, 905, abs_tol=12)


def test_tcp_and_udp_of_one_log_have_each_their_timeout(tmp_path: Path) -> None:
    entries = [closed(40000 + i, 10.2 + i, 30) for i in range(6)]
    entries += [Logged(5000 + i, (Packet(10.7 + i, "UDP", 60),), "UDP") for i in range(6)]
    found = analysed(tmp_path, log_text(entries, every(1, 120)))
    assert [(one.protocol, one.timeout_name) for one in found.lifetimes] == [
        ("TCP", "tcpfin"),
        ("UDP", "udp"),
    ]
    for state, true_s in (("FIN_WAIT", 30), ("UDP", 60)):
        low_s, high_s = timeout(group(found, state))
        assert low_s <= true_s <= high_s
