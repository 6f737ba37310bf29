"""Timeouts that somebody else changed meanwhile, and timeouts that nobody gave, from end to end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Flag, State
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg
from tests.unit.analyzer.builders_run import Held, Life, Stage, closed, expires_at_s, opened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Finding

READ = {"timeouts_source": "ipvsadm"}
FIN_AFTER_S = 0.4  # in ``closed``


def tcpfin_at(fin_s: float, changes: Sequence[tuple[float, float]], start_s: float = 10.0) -> float:
    return ([start_s] + [value_s for at_s, value_s in changes if at_s <= fin_s])[-1]


def burst_under(
    changes: Sequence[tuple[float, float]], count: int = 80, every_s: float = 0.1
) -> list[Life]:
    """Connections as curl makes them, whose FIN finds what is set at that moment."""
    began_s = [1000.0 + every_s * n for n in range(count)]
    return [
        closed(40000 + n, at_s, tcpfin_s=tcpfin_at(at_s + FIN_AFTER_S, changes))
        for n, at_s in enumerate(began_s)
    ]


def facts(source: str | None = "ipvsadm", **timeouts: float) -> dict[str, Any]:
    timeouts_s = {"tcp": 900, "tcpfin": 10, "udp": 300} | timeouts
    return {"timeouts": timeouts_s if source else None, "timeouts_source": source}


@dataclass(frozen=True, kw_only=True)
class Noticed(Stage):
    """Events that say since when they may hold."""

    since_s: float = 0.0

    def event(self, at_s: float, kind: str, detail: str) -> dict[str, Any]:
        since = {"since": BOOT_NS + round(self.since_s * NS)} if self.since_s else {}
        return super().event(at_s, kind, detail) | since


def groups(found: Analysis) -> dict[float | None, int]:
    return {row.timeout_s: row.n_expired for row in found.lifetimes if row.state == "FIN_WAIT"}


def finding(found: Analysis, word: str) -> Finding | None:
    return next((one for one in found.findings if one.id == word), None)


def all_as_predicted(found: Analysis, within_s: float = 0.1) -> None:
    (row,) = found.agreement
    assert row.state_matches == row.state_samples > 0
    assert row.inactive_max_error == 0
    assert row.disagreement_polls <= 1
    assert row.worst_expiry_error_s is not None
    assert row.worst_expiry_error_s < within_s
    assert finding(found, "prediction-differs") is None


THERE_AND_BACK = ((1003.0, 5.0), (1006.0, 10.0))


def test_a_change_that_nobody_reported_is_seen_in_the_entries(tmp_path: Path) -> None:
    lives = burst_under(THERE_AND_BACK)
    found = Stage(lives=lives, facts=facts(), until_s=1025.0).played(tmp_path)
    all_as_predicted(found)
    assert groups(found) == {10.0: 50, 5.0: 30}
    sources = {row.timeout_s: row.timeout_source for row in found.lifetimes}
    assert sources == {10.0: "ipvsadm", 5.0: "entries"}
    changed = finding(found, "timeout-changed-midway")
    assert changed is not None
    assert "bal01: tcpfin 10 to 5 s between 3.90 and 4.00 s (30 entries)" in changed.evidence
    assert "tcpfin 5 to 10 s between 6.90 and 7.00 s" in changed.evidence


@pytest.mark.parametrize("phase", [{}, {"hz": None, "timer_phase_s": None}])
def test_a_change_that_no_sampled_entry_shows_is_in_the_report_of_many_entries(
    phase: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For 0.4 s, 8 of 240 entries; 30 rows of 720 are a sample."""
    monkeypatch.setattr("analyzer.observed.parted.SAMPLE_ROWS", 30)
    lives = burst_under(((1006.0, 5.0), (1006.4, 10.0)), count=240, every_s=0.05)
    stage = Stage(lives=lives, facts=facts() | phase, until_s=1025.0, poll_s=0.25)
    found = stage.played(tmp_path)
    assert groups(found) == {10.0: 232, 5.0: 8}
    (row,) = found.agreement
    assert set(row.residuals) <= {"poll", "clock"}
    assert finding(found, "prediction-differs") is None
    changed = finding(found, "timeout-changed-midway")
    assert changed is not None
    assert "tcpfin 10 to 5 s between 6.95 and 7.00 s (8 entries)" in changed.evidence
    assert "tcpfin 5 to 10 s between 7.35 and 7.40 s (120 entries)" in changed.evidence


def test_one_that_was_noticed_late_is_placed_where_entries_show_it(tmp_path: Path) -> None:
    stage = Noticed(
        lives=burst_under([(1003.0, 5.0)]),
        facts=facts(),
        events=[(1007.5, "timeouts-changed", "900 5 300")],
        since_s=997.5,
        until_s=1025.0,
    )
    found = stage.played(tmp_path)
    all_as_predicted(found)
    assert groups(found) == {10.0: 26, 5.0: 54}
    changed = finding(found, "timeout-changed-midway")
    assert changed is not None
    assert "8.5 s: bal01: --set 900 5 300" in changed.evidence
    assert "between 3.90 and 4.00 s (54 entries), noticed when its timeouts were read next" in (
        changed.evidence
    )


def without_expires(life: Life) -> Life:
    """An entry of which nobody read what it had left."""
    return replace(life, held=replace(life.held, waits_s=None))


def test_packets_within_a_command_are_distinguished_by_when_their_entries_expired(
    tmp_path: Path,
) -> None:
    """``--set`` took a second; no expire column was read."""
    lives = [without_expires(life) for life in burst_under([(1003.25, 5.0)])]
    stage = Noticed(
        lives=lives,
        facts=facts("meta.json"),
        events=[(1004.0, "timeouts-changed", "0 5 0")],
        since_s=1003.0,
        until_s=1025.0,
    )
    found = stage.played(tmp_path)
    all_as_predicted(found)
    assert groups(found) == {10.0: 29, 5.0: 51}


def test_a_command_within_which_no_packet_came_is_taken_as_it_is_reported(tmp_path: Path) -> None:
    lives = [without_expires(life) for life in burst_under([(1003.25, 5.0)])]
    stage = Noticed(
        lives=lives,
        facts=facts("meta.json"),
        events=[(1003.29, "timeouts-changed", "0 5 0")],
        since_s=1003.21,
        until_s=1025.0,
    )
    found = stage.played(tmp_path)
    all_as_predicted(found)
    assert groups(found) == {10.0: 29, 5.0: 51}


def test_the_tcp_and_the_udp_timeout_are_seen_alike(tmp_path: Path) -> None:
    lives = [opened(40000 + n, 1000.0 + 0.2 * n, tcp_s=20.0) for n in range(10)]
    lives += [opened(41000 + n, 1004.0 + 0.2 * n, tcp_s=15.0) for n in range(10)]
    found = Stage(lives=lives, facts=facts(tcp=20), until_s=1050.0).played(tmp_path / "tcp")
    assert {row.timeout_s: row.n_expired for row in found.lifetimes} == {20: 10, 15: 10}
    assert finding(found, "prediction-differs") is None

    def datagram(n: int, waits_s: float) -> Life:
        at_s = 1000.0 + 0.2 * n
        held = Held(5000 + n, ((at_s, State.UDP),), expires_at_s(at_s, waits_s), waits_s=waits_s)
        return Life((Seg(at_s, 5000 + n, Flag.DATAGRAM),), held)

    lives = [datagram(n, 8.0 if n < 12 else 14.0) for n in range(24)]
    stage = Stage(lives=lives, facts=facts(udp=8), protocol="UDP", until_s=1030.0)
    found = stage.played(tmp_path / "udp")
    assert {row.timeout_s: row.n_expired for row in found.lifetimes} == {8: 12, 14: 12}
    assert finding(found, "prediction-differs") is None


def test_without_packets_each_entry_keeps_the_timeout_of_its_time(tmp_path: Path) -> None:
    class Blind(Stage):
        def capture(self) -> bytes:
            return b""

    lives = burst_under([(1003.0, 5.0)])
    found = Blind(lives=lives, facts=facts(), until_s=1025.0).played(tmp_path)
    shown = groups(found)
    assert set(shown) == {10.0, 5.0}
    assert shown[5.0] == pytest.approx(54, abs=2)  # a poll lies between
    assert sum(shown.values()) == 80


# Timeouts that nobody gave, or gave wrongly -------------------------------------------------------


def test_timeouts_that_nobody_gave_are_those_that_entries_show(tmp_path: Path) -> None:
    found = Stage(lives=burst_under([]), facts=facts(None), until_s=1025.0).played(tmp_path)
    all_as_predicted(found)
    (row,) = found.lifetimes
    assert (row.timeout_s, row.timeout_source) == (10, "entries")
    (gap,) = [gap for gap in found.not_measured if "timeouts of bal01" in gap.what]
    assert gap.why == (
        "its timeouts could not be read; tcpfin is 10 s by the expire column of its entries; "
        "predictions assume the kernel's defaults (tcp 900 s, udp 300 s)"
    )


def test_a_timeout_that_is_longer_than_was_given_is_seen_alike(tmp_path: Path) -> None:
    """FIN_WAIT entries with 110 s left where 20 s were given: the assumption is dropped."""
    lives = [closed(40000 + n, 1000.0 + 0.1 * n, tcpfin_s=120.0) for n in range(30)]
    stage = Stage(lives=lives, facts=facts("--timeouts", tcpfin=20), until_s=1135.0)
    found = stage.played(tmp_path)
    all_as_predicted(found)
    contradiction = finding(found, "timeouts-contradicted")
    assert contradiction is not None
    assert contradiction.severity == "warning"
    assert "bal01: tcpfin 20 s by --timeouts, 120 s in FIN_WAIT" in contradiction.evidence
    (row,) = found.lifetimes
    assert (row.timeout_s, row.timeout_told_s) == (120, 20)
    assert "not in agreement with the 20 s configured" in found.verdict


def test_what_was_given_and_is_so_is_said_by_nobody_else(tmp_path: Path) -> None:
    stage = Stage(lives=burst_under([]), facts=facts("--timeouts"), until_s=1025.0)
    found = stage.played(tmp_path)
    all_as_predicted(found)
    (row,) = found.lifetimes
    assert (row.timeout_s, row.timeout_source, row.timeout_told_s) == (10, "--timeouts", None)
    assert finding(found, "timeouts-contradicted") is None
    assert finding(found, "timeout-changed-midway") is None


def test_an_entry_whose_last_packet_nobody_captured_changes_nothing(tmp_path: Path) -> None:
    """Its timer was started anew 3 s later: what it shows is no timeout of the packet before."""
    lives = burst_under([], count=30)
    odd = lives[12]
    late = Held(
        odd.held.port,
        (*odd.held.states[:2], (odd.held.states[2][0] + 3, State.FIN_WAIT)),
        expires_at_s(odd.held.states[2][0] + 3, 10.0),
        waits_s=10.0,
    )
    lives[12] = replace(odd, held=late)
    found = Stage(lives=lives, facts=facts(None), until_s=1025.0).played(tmp_path)
    assert groups(found) == {10.0: 30}
    assert finding(found, "timeout-changed-midway") is None


def test_without_hz_and_timeouts_a_decay_that_was_assumed_is_not_put_down_to_the_timer(
    tmp_path: Path,
) -> None:
    """Entries expired 100 s before a default that nobody read: no granule explains that."""
    lives = [without_expires(life) for life in burst_under([], count=10)]
    unread = facts(None) | {"hz": None, "timer_phase_s": None}
    found = Stage(lives=lives, facts=unread, until_s=1025.0).played(tmp_path)
    (row,) = found.agreement
    assert "timer" not in row.residuals
    (said,) = [one for one in found.findings if one.id == "prediction-differs"]
    assert "assumed: timeouts that were not read (tcp, tcpfin, udp), HZ" in said.advice
