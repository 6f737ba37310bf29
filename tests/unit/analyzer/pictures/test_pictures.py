"""What only the page draws: states over time, lifetimes, shares, and other values of tcpfin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.forecast.lifetimes import Question
from analyzer.forecast.model import forecast
from analyzer.ipvs.states import Timeouts
from analyzer.other_settings.what_if import parse_assumption
from analyzer.recording.directory import Recording
from analyzer.report import to_json
from tests.unit.analyzer.builders_run import (
    FIRST,
    SECOND,
    Stage,
    closed,
    half_open,
    opened,
    removed_at,
)

if TYPE_CHECKING:
    from analyzer.charts.values import StateSeries
    from analyzer.pictures.pictures import Pictures
    from analyzer.report import Analysis

CLOSED = [closed(40000 + i, 1000 + i, server=(FIRST, SECOND)[i % 2]) for i in range(20)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Twenty connections a second apart, two left half open, one left open."""
    lives = [*CLOSED, half_open(50000, 1003), half_open(50001, 1004), opened(50002, 1005)]
    return Stage(lives=lives).played(tmp_path_factory.mktemp("run") / "run")


def course(pictures: Pictures, source: str) -> StateSeries:
    (found,) = [one for one in pictures.states if one.source == source]
    return found


def at(one: StateSeries, state: str, t_s: float) -> int:
    where = int(np.searchsorted(one.t_s, t_s, side="right")) - 1
    return int(one.counts[state][where]) if where >= 0 else 0


@pytest.mark.parametrize("source", ["observed", "predicted"])
@pytest.mark.parametrize(
    ("t_s", "state", "entries"),
    [
        (0.5, "FIN_WAIT", 0),
        (4.95, "FIN_WAIT", 4),  # those of 1000 to 1003 have sent their FIN
        (20.95, "FIN_WAIT", 20),
        (50.0, "FIN_WAIT", 0),
        (20.95, "SYN_RECV", 2),
        (90.0, "SYN_RECV", 0),
        (90.0, "ESTABLISHED", 1),
    ],
)
def test_entries_are_counted_by_state(
    run: Analysis, source: str, t_s: float, state: str, entries: int
) -> None:
    assert at(course(run.pictures, source), state, t_s) == entries


def test_all_states_together_are_all_entries(run: Analysis) -> None:
    one = course(run.pictures, "observed")
    total = sum(one.counts.values())
    observed = run.timeline.observed
    counted = sum(curve.active + curve.inactive for curve in observed)
    np.testing.assert_array_equal(one.t_s, observed[0].t_s)
    np.testing.assert_array_equal(total, counted)


def test_each_lifetime_stands_beside_its_group(run: Analysis) -> None:
    for row, samples in zip(run.lifetimes, run.pictures.lifetime_samples, strict=True):
        assert (samples.state, samples.timeout_s) == (row.state, row.timeout_s)
        assert samples.predicted_s.size == row.n
        assert samples.observed_s.size == row.n_expired
        if row.lifetime_s:
            assert samples.observed_s.min() == pytest.approx(row.lifetime_s.min)
            assert samples.observed_s.max() == pytest.approx(row.lifetime_s.max)


def test_an_entry_that_was_ended_early_is_in_no_group(tmp_path: Path) -> None:
    cut = removed_at(closed(41000, 1002), 1004.0)
    removed = [(FIRST, 1003.95, 1006.0)]
    facts = {"sysctls": {"net.ipv4.vs.expire_nodest_conn": 1}}
    stage = Stage(lives=[*CLOSED[1::2], cut], absent=removed, facts=facts)
    analysis = stage.played(tmp_path / "run")
    assert sum(group.observed_s.size for group in analysis.pictures.lifetime_samples) == sum(
        row.n_expired for row in analysis.lifetimes
    )


def test_shares_are_those_of_the_weights(run: Analysis) -> None:
    (shares,) = run.pictures.shares
    assert [(row.real_server, row.entries) for row in shares.servers] == [
        (f"{FIRST}:80", 13),
        (f"{SECOND}:80", 10),
    ]
    assert [row.expected for row in shares.servers] == [11.5, 11.5]
    assert shares.p == pytest.approx(0.53, abs=0.01)
    assert sum(shares.servers[1].states.values()) == 10


def test_other_values_of_tcpfin_are_what_a_replay_gives(run: Analysis) -> None:
    """The shortcut by ``longest_wait_s`` against the whole replay of ``--what-if``."""
    for other in run.pictures.tcpfin:
        assumption = parse_assumption(f"tcpfin={other.tcpfin_s:g}")
        analysis = analyse(Recording.open(Path(run.run)), [assumption])
        (replayed,), (curve,) = analysis.what_if, analysis.pictures.what_if
        assert replayed.assumptions == other.answer.assumptions
        assert (replayed.peak_active, replayed.peak_inactive, replayed.groups) == (
            other.answer.peak_active,
            other.answer.peak_inactive,
            other.answer.groups,
        )
        np.testing.assert_allclose(curve.t_s, other.curve.t_s, atol=1e-6)
        np.testing.assert_array_equal(curve.inactive, other.curve.inactive)


def test_a_port_that_comes_again_is_replayed_whole(tmp_path: Path) -> None:
    twice = [closed(40000, 1000), closed(40000, 1030)]
    analysis = Stage(lives=twice).played(tmp_path / "run")
    peaks = {other.tcpfin_s: other.answer.peak_inactive for other in analysis.pictures.tcpfin}
    entries = {
        other.tcpfin_s: sum(group.n for group in other.answer.groups)
        for other in analysis.pictures.tcpfin
    }
    assert peaks[20.0] == 1
    assert entries[20.0] == 2
    assert entries[60.0] == 1  # the second connection finds the first one's entry


def test_a_rate_times_the_time_inactive_is_where_the_model_settles(tmp_path: Path) -> None:
    """Little's law over the replayed entries against ``analyzer predict``, which sees no packet."""
    lives = [closed(40000 + i, 1000 + i / 7) for i in range(200)]
    analysis = Stage(lives=lives).played(tmp_path / "run")
    for other in analysis.pictures.tcpfin:
        question = Question(
            rate_per_s=100, hold_s=0.3, timeouts=Timeouts(tcpfin_s=other.tcpfin_s), hz=100
        )
        settled = forecast(question).steady.inactive.mean
        assert 100 * other.inactive_s == pytest.approx(settled, rel=0.02)


def test_none_of_it_is_in_the_document(run: Analysis) -> None:
    assert "pictures" not in to_json(run)


def test_without_packets_there_is_no_prediction(tmp_path: Path) -> None:
    path = tmp_path / "run"
    Stage(lives=CLOSED).played(path)
    (path / "capture.pcap").unlink()
    pictures = analyse(Recording.open(path)).pictures
    assert [one.source for one in pictures.states] == ["observed"]
    assert pictures.tcpfin == ()
    assert all(not group.predicted_s.size for group in pictures.lifetime_samples)


def test_a_changed_timeout_is_no_matter_of_shifting(run: Analysis, tmp_path: Path) -> None:
    events = [(1004.0, "timeouts-changed", "ipvsadm --set 900 30 300")]
    lives = [closed(40000, 1000), closed(40001, 1010, tcpfin_s=30)]
    analysis = Stage(lives=lives, events=events).played(tmp_path / "run")
    found = {other.tcpfin_s: other.answer.groups for other in analysis.pictures.tcpfin}
    assert [(group.timeout_s, group.n) for group in found[60.0]] == [(60.0, 2)]
    assert {group.timeout_s for group in found[20.0]} == {20.0, 30.0}  # as it was
