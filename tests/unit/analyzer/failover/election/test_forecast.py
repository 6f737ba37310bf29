"""Take-overs that BFD caused: recognised, and how long they had to take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.findings import failover as found
from analyzer.wire.bfd import BfdSpan
from analyzer.wire.vrrp import master_down_interval_s, skew_s
from tests.unit.analyzer.builders_packets import table
from tests.unit.analyzer.failover.builders_wire import (
    ADDRESSES,
    Wire,
    at,
    evidence,
    failover_of,
    figures,
    requests,
)


def lost(wire: Wire, taken_s: float, span: BfdSpan | None, **tables: Any) -> Any:
    """bal01 is cut off from 5.6 s on, while its BFD neighbour is bal02."""
    recorded = {"fault": "bal01: link-down", "ordered_ns": at(5.55)}
    made = evidence(wire, requests(50, 20, [(5.6, taken_s)]), recorded)
    assert made.announcements is not None
    pair = tuple(
        replace(each, addresses=frozenset({ADDRESSES[each.name]})) for each in made.directors
    )
    seen = replace(made.announcements, bfd=(span,) if span else ())
    events = table("events", tables["events"]) if "events" in tables else made.events
    return failover_of(replace(made, announcements=seen, directors=pair, events=events))


SPAN = BfdSpan(
    sender=ADDRESSES["bal01"],
    receiver=ADDRESSES["bal02"],
    from_ns=at(0.1),
    to_ns=at(5.6),
    detect_s=0.33,
)


def cut_off(taken_s: float) -> Wire:
    wire = Wire()
    assert wire.reign("bal01", 0.3, 5.6, 10, claim=False) == pytest.approx(5.3)
    wire.reign("bal02", taken_s, 20, 9, claim=True)
    return wire


def test_a_take_over_before_its_due_that_a_lost_bfd_session_explains_is_bfds() -> None:
    outcome = lost(cut_off(5.95), 5.95, SPAN)
    assert outcome.how == "bfd"
    assert outcome.predicted_outage_s == pytest.approx(0.33, abs=0.02)
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=0.06)
    assert lost(cut_off(5.95), 5.95, None).how == "silence"


def test_a_take_over_by_bfd_is_a_finding_with_what_it_would_have_taken_without() -> None:
    outcome = lost(cut_off(5.95), 5.95, SPAN)
    one = found.bfd(figures(outcome))
    assert one is not None
    assert (one.id, one.severity) == ("bfd-take-over", "info")
    assert "from bal01 by bal02" in one.title
    assert "up to 3.96 s" in one.evidence
    assert found.bfd(figures(lost(cut_off(5.95), 5.95, None))) is None
    assert found.bfd(figures(replace(outcome, valid=False))) is None


def test_a_master_that_gives_up_for_bfd_is_followed_after_the_skew() -> None:
    wire = Wire()
    wire.reign("bal01", 0.3, 5.6, 10, claim=False)
    wire.advert("bal01", 5.95, 0)
    taken_s = 5.95 + 247 / 256
    wire.reign("bal02", taken_s, 20, 9, claim=True)
    outcome = lost(wire, taken_s, SPAN)
    assert outcome.how == "bfd"
    assert outcome.predicted_outage_s == pytest.approx(taken_s - 5.6, abs=0.02)


def test_a_priority_0_after_the_take_over_did_not_cause_it() -> None:
    wire = cut_off(5.95)
    wire.advert("bal01", 6.4, 0)
    outcome = lost(wire, 5.95, SPAN)
    assert outcome.how == "bfd"
    assert outcome.predicted_outage_s == pytest.approx(0.33, abs=0.02)


@pytest.mark.parametrize(
    "said",
    [
        "BFD_Instance(peer) Entering DOWN state",
        "(V1) BFD instance peer is DOWN",
        "bfd: state DOWN",
    ],
)
def test_a_line_of_keepaliveds_log_tells_of_a_lost_session(said: str) -> None:
    row = {"at": at(5.95), "host": "bal01", "kind": "keepalived", "detail": said}
    outcome = lost(cut_off(5.95), 5.95, None, events=[row])
    assert outcome.how == "bfd"
    for other in ({"kind": "fault"}, {"host": "web01"}, {"detail": "BFD_Instance(peer) is UP"}):
        assert lost(cut_off(5.95), 5.95, None, events=[row | other]).how == "silence"


@given(st.integers(1, 254), st.integers(1, 4095))
def test_version_3_skews_by_its_interval_and_a_backup_waits_three_to_four(
    priority: int, centiseconds: int
) -> None:
    interval_s = centiseconds / 100
    wait_s = master_down_interval_s(3, priority, interval_s)
    assert 3 * interval_s < wait_s < 4 * interval_s
    assert wait_s - skew_s(3, priority, interval_s) == pytest.approx(3 * interval_s)
    assert skew_s(3, priority, interval_s) == pytest.approx(
        interval_s * skew_s(2, priority, interval_s)
    )
