"""Whose capture shows the advertisements, two masters that no client sees, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.failover.describe import failover
from analyzer.failover.election.views import names_of
from analyzer.findings import failover as found
from analyzer.wire.bfd import BfdSpan
from analyzer.wire.vrrp import Announcements, master_down_interval_s, skew_s
from tests.unit.analyzer.failover.builders_wire import (
    ADDRESSES,
    Silence,
    Wire,
    at,
    evidence,
    requests,
)

if TYPE_CHECKING:
    from analyzer.recording.director import Director

NOTHING = Announcements(advertisements=(), claims=(), malformed=0, left_out=0)


def unicast(wire: Wire) -> Announcements:
    seen = wire.announcements()
    adverts = tuple(replace(advert, unicast=True) for advert in seen.advertisements)
    return replace(seen, advertisements=adverts)


def failover_of(given_evidence: Any) -> Any:
    outcome = failover(given_evidence)
    assert outcome is not None
    return outcome


def seen_on(inputs: Silence, recorded: dict[str, Any] | None = None) -> Any:
    """bal02 heard bal01 until its fault, and bal01 itself went on: the client saw neither."""
    alone = Wire(version=inputs.version, interval_s=inputs.interval_s)
    alone.reign("bal01", 0.3, 12.0, 10, claim=False)
    made = inputs.evidence(recorded=recorded or {})
    views = {"bal01": unicast(alone), "bal02": unicast(inputs.wire)}
    return replace(made, announcements=NOTHING, seen_on=views)


def test_the_director_that_took_over_explains_a_unicast_take_over() -> None:
    inputs = Silence(version=3, interval_s=0.5)
    outcome = failover_of(seen_on(inputs))
    assert (outcome.seen_by, outcome.how) == ("bal02", "silence")
    assert (outcome.old_master, outcome.new_master) == ("bal01", "bal02")
    assert outcome.master_down_interval_s == pytest.approx(1.5 + 0.5 * 247 / 256)
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=0.05)
    assert "advertisements as bal02 captured them" in found.sentence(outcome)


def test_two_masters_that_no_client_sees_are_told_from_both_directors_captures() -> None:
    inputs = Silence()
    outcome = failover_of(seen_on(inputs))
    assert outcome.two_masters_s == pytest.approx(11.3 - inputs.taken_s)
    assert outcome.master_changes == 1


def test_the_clients_view_counts_where_it_shows_multicast() -> None:
    inputs = Silence()
    made = replace(inputs.evidence(), seen_on={"bal02": inputs.wire.announcements()})
    assert failover_of(made).seen_by == "client"
    assert failover_of(inputs.evidence()).seen_by == "client"
    assert failover_of(replace(made, announcements=None, seen_on={})).seen_by is None


def test_unicast_that_a_switch_flooded_is_not_the_clients_view() -> None:
    inputs = Silence()
    flooded = unicast(inputs.wire)
    few = replace(flooded, advertisements=flooded.advertisements[:2])
    made = replace(inputs.evidence(), announcements=few, seen_on={"bal02": flooded})
    assert failover_of(made).seen_by == "bal02"


def director(name: str, macs: set[int], addresses: set[str]) -> Director:
    made = Silence().evidence().directors[0]
    return replace(made, name=name, macs=frozenset(macs), addresses=frozenset(addresses))


def test_a_mac_or_address_that_directors_share_names_none_of_them() -> None:
    pair = (
        director("bal01", {0x02000000000B, 0x00005E000129}, {"192.168.10.11", "::1"}),
        director("bal02", {0x02000000000C}, {"192.168.10.12", "::1"}),
    )
    names = names_of(replace(Silence().evidence(), directors=pair))
    assert names == {
        0x02000000000B: "bal01",
        0x02000000000C: "bal02",
        "192.168.10.11": "bal01",
        "192.168.10.12": "bal02",
    }


def test_masters_behind_one_virtual_mac_are_known_by_their_addresses() -> None:
    inputs = Silence()
    inputs.wire.adverts = [replace(a, sender_mac=0x00005E000129) for a in inputs.wire.adverts]
    made = inputs.evidence()
    pair = tuple(
        replace(each, addresses=frozenset({ADDRESSES[each.name]})) for each in made.directors
    )
    outcome = failover_of(replace(made, directors=pair))
    assert (outcome.old_master, outcome.new_master) == ("bal01", "bal02")


def test_a_router_of_ipv6_with_the_same_number_is_another_one() -> None:
    inputs = Silence()
    twins = [replace(a, sender=f"fe80::{a.sender_mac:x}") for a in inputs.wire.adverts]
    inputs.wire.adverts += [replace(a, addresses=("fd00:10::2",)) for a in twins]
    outcome = failover_of(inputs.evidence())
    assert (outcome.valid, outcome.two_masters_s, outcome.master_changes) == (True, 0, 1)


# The way back


def returned(recorded: dict[str, Any], again_s: float | None, fault: str = "link-down") -> Any:
    inputs = Silence(to_s=40)
    if again_s is not None:
        inputs.wire.adverts = [a for a in inputs.wire.adverts if a.at_ns < at(again_s)]
        inputs.wire.reign("bal01", again_s, 40, 10, claim=True)
    facts = {"undo_ordered_ns": at(15.0), "undone_ns": at(15.1), "fault": f"bal01: {fault}"}
    return failover_of(inputs.evidence(recorded=facts | recorded))


def test_with_nopreempt_there_is_no_way_back_and_the_verdict_says_so() -> None:
    outcome = returned({"nopreempt": True}, None)
    assert (outcome.failback.never_due, outcome.failback.due_s) == (True, None)
    assert "bal01 did not take the VIP back (nopreempt)" in found.sentence(outcome)
    broken = returned({"nopreempt": True}, 19.0)
    assert "(which nopreempt should have prevented)" in found.sentence(broken)


@pytest.mark.parametrize(
    ("delay_s", "due_s"),
    [(0, (3.9609, 4.0609)), (0.5, (3.9609, 5.5609)), (8, (10.9609, 13.0609))],
)
def test_the_way_back_takes_an_election_and_the_delay(
    delay_s: float, due_s: tuple[float, float]
) -> None:
    outcome = returned({"nopreempt": False, "preempt_delay_s": delay_s}, 15.0 + due_s[0])
    assert outcome.failback.due_s == pytest.approx(due_s, abs=1e-4)
    said = found.sentence(outcome)
    assert f"(due after {due_s[0]:.2f} to {due_s[1]:.2f} s)" in said


def test_keepalived_that_has_to_start_may_take_two_seconds_more() -> None:
    outcome = returned({"nopreempt": False}, 20.0, fault="crash")
    assert outcome.failback.due_s == pytest.approx((3.9609, 6.0609), abs=1e-4)


def test_a_director_that_never_noticed_is_master_again_at_once() -> None:
    outcome = returned({"nopreempt": True}, 15.6, fault="unplug")
    assert outcome.failback.due_s == pytest.approx((0.0, 1.1))


def test_where_the_settings_are_not_known_nothing_is_said_of_the_way_back() -> None:
    outcome = returned({}, None)
    assert (outcome.failback.due_s, outcome.failback.never_due) == (None, False)
    assert "take the VIP back" not in found.sentence(outcome)


# BFD


def test_a_take_over_before_its_due_that_a_lost_bfd_session_explains_is_bfds() -> None:
    wire = Wire()
    last_s = wire.reign("bal01", 0.3, 5.6, 10, claim=False)
    wire.reign("bal02", 5.95, 20, 9, claim=True)
    span = BfdSpan(
        sender=ADDRESSES["bal01"],
        receiver=ADDRESSES["bal02"],
        from_ns=at(0.1),
        to_ns=at(5.6),
        detect_s=0.33,
    )
    recorded = {"fault": "bal01: link-down", "ordered_ns": at(5.55)}
    made = evidence(wire, requests(50, 20, [(5.6, 5.95)]), recorded)
    assert made.announcements is not None
    pair = tuple(
        replace(each, addresses=frozenset({ADDRESSES[each.name]})) for each in made.directors
    )
    seen = replace(made.announcements, bfd=(span,))
    outcome = failover_of(replace(made, announcements=seen, directors=pair))
    assert last_s == pytest.approx(5.3)
    assert outcome.how == "bfd"
    assert outcome.predicted_outage_s == pytest.approx(0.33, abs=0.02)
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=0.06)
    without = failover_of(replace(made, directors=pair))
    assert without.how == "silence"


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
