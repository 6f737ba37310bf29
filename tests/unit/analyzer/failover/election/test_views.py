"""Whose capture shows the advertisements, by which clock, and two masters that no client sees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.failover.election.views import names_of, views_of
from analyzer.findings import failover as found
from analyzer.wire.bfd import BfdSpan
from analyzer.wire.vrrp import Announcements
from tests.unit.analyzer.builders_packets import NS
from tests.unit.analyzer.failover.builders_wire import (
    ADDRESSES,
    Silence,
    Wire,
    at,
    evidence,
    failover_of,
    requests,
)

if TYPE_CHECKING:
    from analyzer.recording.director import Director

NOTHING = Announcements(advertisements=(), claims=(), malformed=0, left_out=0)


def unicast(wire: Wire) -> Announcements:
    seen = wire.announcements()
    adverts = tuple(replace(advert, unicast=True) for advert in seen.advertisements)
    return replace(seen, advertisements=adverts)


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


# The clocks of directors that captured


def timed(**uncertainty_ns: int | None) -> dict[str, Any]:
    rows = [{"host": host, "clock_uncertainty_ns": ns} for host, ns in uncertainty_ns.items()]
    return {"vrrp_captures": rows}


def test_the_error_of_the_clock_that_timed_the_advertisements_is_in_the_uncertainty() -> None:
    inputs = Silence()
    exact = failover_of(seen_on(inputs))
    outcome = failover_of(seen_on(inputs, timed(bal01=400_000_000, bal02=30_000_000)))
    assert outcome.seen_by == "bal02"
    assert outcome.predicted_outage_s == exact.predicted_outage_s
    assert outcome.prediction_uncertainty_s == pytest.approx(exact.prediction_uncertainty_s + 0.030)
    by_client = replace(inputs.evidence(recorded=timed(bal02=30_000_000)), seen_on={})
    assert failover_of(by_client).prediction_uncertainty_s == pytest.approx(
        failover_of(inputs.evidence()).prediction_uncertainty_s
    )


def test_by_a_clock_that_is_not_known_no_outage_is_predicted_since_the_fault() -> None:
    outcome = failover_of(seen_on(Silence(), timed(bal01=5, bal02=None)))
    assert (outcome.seen_by, outcome.how) == ("bal02", "silence")
    assert (outcome.predicted_outage_s, outcome.prediction_uncertainty_s) == (None, None)
    assert outcome.predicted_range_s == pytest.approx((2 + 247 / 256, 3 + 247 / 256))
    assert (outcome.advert_age_s, outcome.two_masters_s) == (None, 0)
    assert [interval.director for interval in outcome.reigns] == ["bal01", "bal02"]


def test_priority_0_predicts_by_one_clock_alone() -> None:
    wire = Wire()
    wire.reign("bal01", 0.3, 5.6, 10, claim=False)
    wire.advert("bal01", 5.6, 0)
    wire.reign("bal02", 5.6 + 247 / 256, 20, 9, claim=True)
    recorded = {"fault": "bal01: keepalived-stop", "ordered_ns": at(5.55)}
    recorded |= timed(bal02=None)
    made = evidence(wire, requests(50, 20, [(5.6, 6.57)]), recorded)
    outcome = failover_of(replace(made, announcements=NOTHING, seen_on={"bal02": unicast(wire)}))
    assert (outcome.seen_by, outcome.how) == ("bal02", "clean-stop")
    assert (outcome.predicted_outage_s, outcome.prediction_uncertainty_s) == (247 / 256, 0)


def test_two_masters_count_only_beyond_what_two_clocks_may_differ() -> None:
    inputs = Silence()
    both_s = 11.3 - inputs.taken_s
    for ns, counted_s in ((0, both_s), (200_000_000, both_s - 0.3), (5 * NS, 0)):
        clocks = timed(bal01=100_000_000 if ns else 0, bal02=ns)
        outcome = failover_of(seen_on(inputs, clocks))
        assert outcome.two_masters_s == pytest.approx(counted_s)


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


SPAN = BfdSpan(
    sender=ADDRESSES["bal01"],
    receiver=ADDRESSES["bal02"],
    from_ns=at(0.1),
    to_ns=at(5.6),
    detect_s=0.33,
)


def test_a_session_counts_once_as_its_receiver_captured_it() -> None:
    """After link-down bal01's own capture goes on showing what it sends; nobody receives it."""
    inputs = Silence()
    on_after = replace(SPAN, to_ns=at(19.0))
    back = replace(SPAN, sender=SPAN.receiver, receiver=SPAN.sender)
    quiet = replace(inputs.wire.announcements(), advertisements=())
    made = inputs.evidence()
    pair = tuple(
        replace(each, addresses=frozenset({ADDRESSES[each.name]})) for each in made.directors
    )
    views = {"bal01": (on_after, back), "bal02": (SPAN, replace(back, to_ns=at(19.5)))}
    for names in (("bal01", "bal02"), ("bal02", "bal01")):
        seen = {name: replace(quiet, bfd=views[name]) for name in names}
        found_bfd = views_of(replace(made, seen_on=seen, directors=pair), None).bfd
        assert set(found_bfd) == {SPAN, back}
        assert len(found_bfd) == 2
