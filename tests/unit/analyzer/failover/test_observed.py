"""Masters of a capture of VRRP alone: when, gaps, take-overs, two at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.failover.observed import failover_observed
from analyzer.wire.vrrp import Announcements
from tests.unit.analyzer.failover.builders_wire import VIP, ZERO_NS, Wire

if TYPE_CHECKING:
    from analyzer.failover.results import Failover


def observed(wire: Wire) -> Failover:
    adverts = tuple(sorted(wire.adverts, key=lambda advert: advert.at_ns))
    found = failover_observed(
        Announcements(advertisements=adverts, claims=tuple(wire.claims), malformed=0, left_out=0),
        ZERO_NS,
    )
    assert found is not None
    return found


def test_without_an_advertisement_there_is_none() -> None:
    nothing = Announcements(advertisements=(), claims=(), malformed=0, left_out=0)
    assert failover_observed(nothing, ZERO_NS) is None


def test_one_master_is_no_take_over() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 30, 150, claim=True)
    found = observed(wire)
    (mastership,) = found.reigns
    assert (mastership.director, mastership.vips) == ("192.168.10.11", (VIP,))
    assert (mastership.from_s, mastership.to_s, mastership.claims) == (0, 29, 1)
    assert (found.valid, found.observed_only, found.outage_s) == (True, True, None)
    assert (found.new_master, found.master_changes, found.gaps) == (None, 0, ())


@pytest.mark.parametrize("version", [2, 3])
def test_a_silent_masters_successor_and_the_gap_are_seen(version: int) -> None:
    wire = Wire(version=version)
    wire.reign("bal01", 0, 10, 150, claim=False)
    wire.reign("bal02", 12.61, 30, 100, claim=True)
    found = observed(wire)
    assert (found.how, found.old_master, found.new_master) == (
        "silence",
        "192.168.10.11",
        "192.168.10.12",
    )
    assert found.takeover_s == pytest.approx(12.61)
    (gap,) = found.gaps
    assert [gap.from_s, gap.to_s] == pytest.approx([9, 12.61])
    assert gap.due_s == pytest.approx(3 + 156 / 256)
    assert found.master_changes == 1


def test_a_clean_stop_is_told_from_silence() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 10, 150, claim=False)
    wire.advert("bal01", 9.5, 0)
    wire.reign("bal02", 10.11, 20, 100, claim=False)
    found = observed(wire)
    (gap,) = found.gaps
    assert (found.how, gap.from_s) == ("clean-stop", 9.5)
    assert gap.due_s == pytest.approx(156 / 256)


def test_a_master_that_is_preempted_leaves_no_gap() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 10, 100, claim=False)
    wire.reign("bal02", 8.9, 20, 150, claim=True)
    found = observed(wire)
    assert (found.how, found.master_changes, found.gaps) == (None, 1, ())
    assert found.new_master == "192.168.10.12"


def test_two_masters_at_once_are_no_take_over() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 40, 150, claim=False)
    wire.reign("bal02", 10, 20, 100, claim=False)
    found = observed(wire)
    assert (found.two_masters_s, found.master_changes, found.new_master) == (9, 0, None)


def test_nobody_to_the_end_is_a_gap_where_the_capture_goes_on() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 10, 150, claim=False)
    wire.vrid = 42
    wire.reign("bal01", 0, 30, 150, claim=False)
    (gap,) = observed(wire).gaps
    assert (gap.vrid, gap.new_master, gap.from_s, gap.to_s) == (41, None, 9, 29)


def test_virtual_routers_are_kept_apart() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 20, 150, claim=False)
    wire.vrid = 42
    wire.reign("bal02", 0.2, 20, 150, claim=False)
    found = observed(wire)
    assert (found.master_changes, found.two_masters_s) == (0, 0)
    assert {mastership.vrid for mastership in found.reigns} == {41, 42}


def test_unicast_routers_of_one_number_with_other_peers_are_others() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 20, 150, claim=False)
    wire.adverts = [replace(a, unicast=True, receiver="192.168.10.12") for a in wire.adverts]
    elsewhere = [
        replace(a, sender="10.0.0.1", receiver="10.0.0.2", addresses=("10.0.0.9",))
        for a in wire.adverts
    ]
    wire.adverts += elsewhere
    found = observed(wire)
    assert (found.two_masters_s, found.master_changes, len(found.reigns)) == (0, 0, 2)


def test_unicast_peers_that_both_advertise_are_two_masters() -> None:
    wire = Wire()
    wire.reign("bal01", 0, 20, 150, claim=False)
    wire.reign("bal02", 5, 20, 100, claim=False)
    peer = {"192.168.10.11": "192.168.10.12", "192.168.10.12": "192.168.10.11"}
    wire.adverts = [replace(a, unicast=True, receiver=peer[a.sender]) for a in wire.adverts]
    assert observed(wire).two_masters_s == 14


@given(
    st.lists(
        st.tuples(st.sampled_from(["bal01", "bal02"]), st.integers(0, 6000), st.integers(0, 255)),
        min_size=1,
    )
)
def test_whatever_is_advertised_gaps_and_masterships_are_sound(
    adverts: list[tuple[str, int, int]],
) -> None:
    wire = Wire()
    wire.advert("bal01", 0, 100)
    for who, centiseconds, priority in adverts:
        wire.advert(who, centiseconds / 100, priority)
    found = observed(wire)
    assert all(gap.from_s <= gap.to_s for gap in found.gaps)
    assert all(mastership.from_s <= mastership.to_s for mastership in found.reigns)
    assert found.master_changes < len(found.reigns)
    assert found.two_masters_s >= 0
