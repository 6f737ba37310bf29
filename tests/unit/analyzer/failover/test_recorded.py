"""A fail-over recorded in a lab with real keepalived: theory foretells it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording

if TYPE_CHECKING:
    from analyzer.failover.results import Failover
    from analyzer.report import Analysis

RUN = Path(__file__).parents[3] / "data" / "dr-failover"
RATE = 12
PRIORITIES = {"bal01": 10, "bal02": 9}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(Recording.open(RUN))


@pytest.fixture(scope="module")
def failover(analysis: Analysis) -> Failover:
    assert analysis.failover is not None
    return analysis.failover


def test_the_backup_waits_its_interval_less_the_age(failover: Failover) -> None:
    assert failover.valid
    assert (failover.how, failover.old_master, failover.new_master) == ("silence", "bal01", "bal02")
    interval_s = 3 + (256 - PRIORITIES["bal02"]) / 256
    assert failover.master_down_interval_s == pytest.approx(interval_s)
    assert failover.advert_age_s is not None
    assert 0 <= failover.advert_age_s <= 1
    assert failover.predicted_outage_s == pytest.approx(interval_s - failover.advert_age_s)
    assert failover.outage_s == pytest.approx(failover.predicted_outage_s, abs=0.02 + 1 / RATE)


def test_the_requests_of_the_outage_are_late_and_none_is_lost(failover: Failover) -> None:
    assert failover.outage_s is not None
    assert failover.late == pytest.approx(RATE * failover.outage_s, abs=2)
    assert failover.failed == 0
    assert sum(failover.syn_retries.values()) == failover.late
    assert set(failover.syn_retries) <= {
        "1",
        "2",
        "3",
        "4",
    }  # each second (6.5 and later)


def test_its_parts_add_up_and_detection_is_nearly_all(failover: Failover) -> None:
    parts = failover.parts_s
    assert parts is not None
    assert parts.until_fault is not None
    assert parts.detection == pytest.approx(failover.predicted_outage_s)
    rest = (parts.takeover, parts.gratuitous_arp, parts.first_success)
    assert all(part is not None and -0.001 < part < 0.1 for part in rest)
    whole_s = parts.until_fault + (parts.detection or 0) + sum(part or 0 for part in rest)
    assert whole_s == pytest.approx(failover.outage_s)


def test_the_old_master_takes_the_vip_back_without_a_gap(failover: Failover) -> None:
    assert [reign.director for reign in failover.reigns] == ["bal01", "bal02", "bal01"]
    assert [reign.priority for reign in failover.reigns] == [10, 9, 10]
    assert failover.failback is not None
    assert failover.failback.master_again_s == pytest.approx(3 + 246 / 256, abs=0.2)
    assert failover.failback.gap_s is not None
    assert failover.failback.gap_s < 0.1 + 1 / RATE
    assert failover.black_hole is None


def test_the_link_that_was_taken_down_is_the_only_trouble(analysis: Analysis) -> None:
    trouble = {finding.id for finding in analysis.findings if finding.severity != "info"}
    assert trouble == {"director-lost"}
    assert analysis.verdict.startswith("bal02 took over from bal01 after link-down of bal01")
