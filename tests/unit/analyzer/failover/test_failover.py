"""What is reported of a fail-over, from wires and requests made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import RecordingError
from analyzer.evidence.captures import Captured, ReadOnce, read_captures
from analyzer.failover.describe import failover
from analyzer.findings import failover as found
from analyzer.ipvs.states import Flag
from analyzer.recording.manifest import manifest_of
from analyzer.recording.requests import RequestRows
from tests.unit.analyzer.builders_packets import BOOT_NS, Seg, pcap, segments
from tests.unit.analyzer.failover.builders_wire import (
    MACS,
    VIP,
    ZERO_NS,
    Silence,
    Wire,
    at,
    evidence,
    failover_of,
    figures,
    requests,
)
from tests.unit.properties import examples

silences = st.builds(
    Silence,
    rate=st.sampled_from([20.0, 50.0, 200.0]),
    fault_s=st.floats(4.31, 6.29),
    to_s=st.just(16.0),
    priority=st.integers(1, 254),
    version=st.sampled_from([2, 3]),
    interval_s=st.sampled_from([1.0, 2.0]),
)


@examples(40)
@given(silences)
def test_a_silent_death_takes_the_interval_less_the_age_of_the_last_advertisement(
    inputs: Silence,
) -> None:
    outcome = failover_of(inputs.evidence())
    tick_s = 1 / inputs.rate
    assert (outcome.how, outcome.old_master, outcome.new_master) == ("silence", "bal01", "bal02")
    assert outcome.valid
    assert outcome.master_down_interval_s == pytest.approx(inputs.wait_s)
    assert outcome.advert_age_s == pytest.approx(inputs.age_s, abs=2 * tick_s)
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=2 * tick_s + 0.01)
    assert outcome.outage_s == pytest.approx(inputs.outage_s, abs=2 * tick_s)
    shortest_s, longest_s = outcome.predicted_range_s
    assert longest_s - shortest_s == pytest.approx(inputs.interval_s)
    assert shortest_s - 2 * tick_s <= outcome.predicted_outage_s <= longest_s + 2 * tick_s


@examples(40)
@given(silences)
def test_what_was_late_is_the_rate_times_the_outage(inputs: Silence) -> None:
    outcome = failover_of(inputs.evidence())
    assert outcome.failed == 0
    assert abs(outcome.late - inputs.rate * outcome.outage_s) <= max(2, 0.03 * outcome.late)


@examples(40)
@given(silences)
def test_the_parts_add_up_to_the_outage(inputs: Silence) -> None:
    outcome = failover_of(inputs.evidence())
    parts = outcome.parts_s
    named = (parts.until_fault, parts.detection, parts.takeover, parts.gratuitous_arp)
    assert sum((*named, parts.first_success)) == pytest.approx(outcome.outage_s, abs=1e-6)
    assert all(part >= -1e-6 for part in named)


def test_a_clean_stop_takes_the_skew() -> None:
    wire = Wire()
    wire.reign("bal01", 0.3, 5.6, 10, claim=False)
    wire.advert("bal01", 5.6, 0)
    wire.reign("bal02", 5.6 + 0.9648, 20, 9, claim=True)
    sent = requests(50, 20, [(5.6, 6.57)])
    outcome = failover_of(
        evidence(wire, sent, {"fault": "bal01: keepalived-stop", "ordered_ns": at(5.4)})
    )
    assert outcome.how == "clean-stop"
    assert outcome.predicted_outage_s == pytest.approx(247 / 256)
    assert outcome.advert_age_s is None
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=0.05)
    assert found.clean_stop(figures(outcome)) is not None


def test_a_dead_keepalived_alone_costs_no_outage() -> None:
    inputs = Silence()
    inputs.outages = []
    outcome = failover_of(inputs.evidence())
    assert outcome.how == "keepalived-alone"
    assert outcome.predicted_outage_s == 0
    assert outcome.outage_s == pytest.approx(1 / inputs.rate)
    assert (outcome.late, outcome.failed) == (0, 0)
    assert found.keepalived_alone(figures(outcome)) is not None


lately = st.tuples(st.floats(5.7, 8.7), st.floats(0.0, 0.19))
"""When the client stands still, and for how long: less than what a prompt answer may take."""


@examples(40)
@given(lately, st.sampled_from([20.0, 50.0, 500.0]))
def test_as_long_as_the_client_asks_for_nothing_there_is_no_outage(
    still: tuple[float, float], rate: float
) -> None:
    inputs = Silence()
    absent = (still[0], sum(still))
    sent = requests(rate, inputs.to_s, [], absent)
    outcome = failover_of(replace(inputs.evidence(), requests=RequestRows.of(sent)))
    assert (outcome.how, outcome.valid) == ("keepalived-alone", True)
    assert outcome.outage_s <= 1 / rate + 0.001
    assert outcome.client_late_s == pytest.approx(still[1], abs=1 / rate + 0.001)


@examples(40)
@given(lately)
def test_a_client_that_stands_still_misses_the_outage_by_no_more_than_that(
    still: tuple[float, float],
) -> None:
    inputs = Silence()
    absent = (still[0], sum(still))
    sent = requests(inputs.rate, inputs.to_s, inputs.outages, absent)
    outcome = failover_of(replace(inputs.evidence(), requests=RequestRows.of(sent)))
    assert outcome.how == "silence"
    assert outcome.outage_s == pytest.approx(inputs.outage_s, abs=still[1] + 2 / inputs.rate)


def test_a_connect_held_up_between_its_begin_and_its_syn_is_no_sign_of_life() -> None:
    inputs = Silence()
    sent = requests(inputs.rate, inputs.to_s, inputs.outages)
    last = sent.index[sent["scheduled"] < pd.Timestamp(at(inputs.taken_s), tz="UTC")][-1]
    sent.loc[last, ["connected", "first_byte", "ended"]] = sent.loc[last, "started"] + pd.Timedelta(
        "100ms"
    )
    outcome = failover_of(replace(inputs.evidence(), requests=RequestRows.of(sent)))
    assert outcome.how == "silence"
    assert outcome.outage_s == pytest.approx(inputs.outage_s, abs=0.05)


def test_a_request_under_way_at_the_fault_is_counted_with_it() -> None:
    inputs = Silence()
    sent = requests(inputs.rate, inputs.to_s, inputs.outages)
    begun = sent["started"] < pd.Timestamp(at(inputs.fault_s), tz="UTC")
    last, long_before = sent.index[begun][-1], sent.index[begun][-150]
    for row in (last, long_before):
        sent.loc[row, ["first_byte", "ended"]] = pd.NaT
        sent.loc[row, "error"] = "connection reset by peer"
    plain = failover_of(inputs.evidence())
    outcome = failover_of(replace(inputs.evidence(), requests=RequestRows.of(sent)))
    assert (plain.failed, outcome.failed) == (0, 1)
    assert outcome.sent == plain.sent + 1
    assert outcome.outage_s == plain.outage_s


def test_a_director_that_answers_slowly_is_there() -> None:
    inputs = Silence()
    sent = requests(50, 20, [], slow_s=lambda number: 0.15 if number in range(300, 310) else 0.001)
    outcome = failover_of(replace(inputs.evidence(), requests=RequestRows.of(sent)))
    assert outcome.outage_s == pytest.approx(0.02)
    hung = requests(50, 20, [], slow_s=lambda n: 6.5 - n / 50 if 299 < n < 325 else 0.001)
    outcome = failover_of(replace(inputs.evidence(), requests=RequestRows.of(hung)))
    assert outcome.outage_s == pytest.approx(0.5 - 0.2, abs=0.05)


def test_without_a_capture_the_outage_is_measured_and_nothing_predicted() -> None:
    inputs = Silence()
    outcome = failover_of(replace(inputs.evidence(), announcements=None))
    assert outcome.outage_s == pytest.approx(inputs.outage_s, abs=0.05)
    assert outcome.predicted_outage_s is None
    assert outcome.new_master is None
    assert outcome.parts_s is None


def test_without_load_the_fault_came_between_the_order_and_its_end() -> None:
    inputs = Silence()
    ordered_s, done_s = inputs.fault_s - 0.05, inputs.fault_s + 0.15
    orders = {"ordered_ns": at(ordered_s), "done_ns": at(done_s), "probed": False}
    outcome = failover_of(inputs.evidence(recorded=orders))
    assert outcome.outage_s is None
    assert outcome.prediction_uncertainty_s == pytest.approx((done_s - ordered_s) / 2)
    middle_s = (ordered_s + done_s) / 2
    assert outcome.predicted_outage_s == pytest.approx(inputs.last_s + inputs.wait_s - middle_s)


def test_an_outage_without_end_says_so() -> None:
    inputs = Silence(to_s=12)
    inputs.outages = [(inputs.fault_s, 99.0)]
    outcome = failover_of(inputs.evidence())
    assert not outcome.outage_over
    assert outcome.outage_s == pytest.approx(12 - inputs.fault_s, abs=0.05)
    assert outcome.failed == pytest.approx(50 * (12 - inputs.fault_s), abs=3)


def test_the_retransmitted_syn_that_got_through_is_known_by_its_second() -> None:
    inputs = Silence()
    outcome = failover_of(inputs.evidence())
    assert set(outcome.syn_retries) == {"1", "2", "3", "4"}
    assert sum(outcome.syn_retries.values()) == outcome.late
    said = found.syn_retries(figures(outcome))
    assert said is not None
    assert "never the outage" in said.advice


def test_a_run_that_was_no_failover_has_none() -> None:
    made = Silence().evidence()
    assert failover(replace(made, manifest=manifest_of({"directors": {}}))) is None


@pytest.mark.parametrize("said", [7, {"ordered_ns": "soon"}, {"why_insane": 3}])
def test_a_manifest_that_no_recorder_writes_is_refused(said: Any) -> None:
    with pytest.raises(RecordingError, match=r"run\.json: failover"):
        manifest_of({"failover": said})


def test_the_verdict_says_who_followed_whom_and_for_how_long_clients_were_out() -> None:
    rows = talk(1, "dialogue", (1, "opened"), *steady(1, 5.5), (9.7, "reset"))
    outcome = failover_of(
        Silence().evidence(in_flight=rows, recorded={"undo_ordered_ns": at(15.0)})
    )
    said = found.sentence(outcome)
    assert said.startswith(
        "bal02 took over from bal01 after link-down of bal01: clients were cut off"
    )
    assert f"{outcome.outage_s:.2f} s (predicted {outcome.predicted_outage_s:.2f} ±" in said
    assert f"of {outcome.sent} requests {outcome.late} were late and 0 failed" in said
    assert "0 of 1 connections in flight survived" in said
    assert "failback cost 0.02 s, and reset 0 connections" in said
    by_command = replace(outcome, fault="ssh lb1: reboot")
    assert "after ssh lb1: reboot:" in found.sentence(by_command)
    invalid = replace(outcome, valid=False, why_invalid="two holders")
    assert found.sentence(invalid) == "This fail-over run is invalid: two holders."


def test_an_outage_that_the_wire_does_not_explain_is_a_finding_unless_the_client_was_late() -> None:
    outcome = replace(failover_of(Silence().evidence()), outage_s=4.2)
    said = found.failover_differs(figures(outcome))
    assert said is not None
    assert "longer" in said.title
    assert found.failover_differs(figures(replace(outcome, client_late_s=1.0))) is None
    assert found.failover_differs(figures(failover_of(Silence().evidence()))) is None


# What makes a run invalid


def test_an_insane_set_up_makes_the_run_invalid_not_slow() -> None:
    why = ["192.168.10.2 is held by bal01 and bal02"]
    outcome = failover_of(Silence().evidence(recorded={"why_insane": why}))
    assert (outcome.valid, outcome.why_invalid) == (False, why[0])
    said = found.failover_invalid(figures(outcome))
    assert said is not None
    assert said.severity == "problem"
    assert found.syn_retries(figures(outcome)) is None


def test_two_masters_before_the_fault_make_it_invalid() -> None:
    inputs = Silence()
    inputs.wire.reign("bal02", 0.8, 5.0, 9, claim=False)
    outcome = failover_of(inputs.evidence())
    assert not outcome.valid
    assert "both master" in (outcome.why_invalid or "")


def test_a_client_that_stood_still_makes_it_invalid() -> None:
    inputs = Silence()
    made = inputs.evidence()
    sent = made.requests.frame()
    late = sent["scheduled"] > sent["scheduled"].iloc[300]
    sent.loc[late, "started"] = sent.loc[late, "started"].clip(lower=sent["ended"].iloc[340])
    outcome = failover_of(replace(made, requests=RequestRows.of(sent)))
    assert "stood still" in (outcome.why_invalid or "")


# The way back


def healed(*, claim_s: float | None, dark_to_s: float) -> Any:
    """bal01 was cut off and comes back at 15 s; bal02 hears it and is silent."""
    inputs = Silence(to_s=40)
    inputs.wire.adverts = [row for row in inputs.wire.adverts if row.at_ns < at(15.0)]
    inputs.wire.reign("bal01", 15.1, 40, 10, claim=False)
    if claim_s is not None:
        inputs.wire.claim("bal01", claim_s)
    inputs.outages.append((15.1, dark_to_s))
    return failover_of(inputs.evidence(recorded={"undo_ordered_ns": at(15.0)}))


def test_a_vip_that_returns_in_silence_is_a_black_hole() -> None:
    outcome = healed(claim_s=None, dark_to_s=31.0)
    assert outcome.black_hole.director == "bal01"
    assert outcome.black_hole.lasted_s == pytest.approx(15.9, abs=0.1)
    assert outcome.failback.gap_s == pytest.approx(15.9, abs=0.1)
    said = found.black_hole(figures(outcome))
    assert said is not None
    assert said.severity == "problem"
    assert "garp_master_refresh" in said.advice
    # the fail-over itself is judged by itself
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=0.05)


def test_a_refresh_mends_the_black_hole() -> None:
    said = found.black_hole(figures(healed(claim_s=16.9, dark_to_s=16.95)))
    assert said is not None
    assert said.severity == "warning"


def test_a_director_that_says_so_at_once_makes_no_black_hole() -> None:
    assert healed(claim_s=15.1, dark_to_s=15.15).black_hole is None


def test_masters_that_alternate_are_flapping() -> None:
    inputs = Silence(to_s=40)
    inputs.wire.adverts = [row for row in inputs.wire.adverts if row.at_ns < at(15.0)]
    for begin, who in ((15.1, "bal01"), (20.1, "bal02"), (25.1, "bal01")):
        inputs.wire.reign(who, begin, begin + 4, 10, claim=True)
    outcome = failover_of(inputs.evidence())
    assert outcome.master_changes == 4
    assert found.flapping(figures(outcome)) is not None


def test_two_that_advertise_at_a_time_are_two_masters() -> None:
    inputs = Silence(to_s=20)
    inputs.wire.reign("bal01", 12.0, 18.0, 10, claim=False)
    outcome = failover_of(inputs.evidence())
    assert outcome.two_masters_s == pytest.approx(5.0)
    assert found.two_masters(figures(outcome)) is not None


def test_advertisements_of_another_router_or_from_afar_do_not_count() -> None:
    inputs = Silence()
    forged = [replace(row, sender="192.168.10.66", ttl=64) for row in inputs.wire.adverts]
    others = [replace(row, vrid=7, addresses=("192.168.10.3",)) for row in inputs.wire.adverts]
    plain = failover_of(inputs.evidence())
    inputs.wire.adverts += forged + others
    assert failover_of(inputs.evidence()).reigns == plain.reigns


@pytest.mark.parametrize("fault_s", [1.6, 5.6])
def test_a_fault_that_nobody_ordered_is_found_and_so_is_its_end(fault_s: float) -> None:
    inputs = Silence(to_s=30, fault_s=fault_s)
    inputs.wire.adverts = [row for row in inputs.wire.adverts if row.at_ns < at(15.0)]
    inputs.wire.reign("bal01", 15.1, 30, 10, claim=True)
    outcome = failover_of(inputs.evidence(recorded={"fault": None, "ordered_ns": None}))
    assert (outcome.old_master, outcome.new_master, outcome.how) == ("bal01", "bal02", "silence")
    assert outcome.outage_s == pytest.approx(outcome.predicted_outage_s, abs=0.05)
    assert outcome.undone_s == pytest.approx(15.1)
    assert outcome.failback.gap_s == pytest.approx(0.02, abs=0.01)


# Connections in flight


def talk(connection: int, kind: str, *events: tuple[float, str]) -> list[dict[str, Any]]:
    return [
        {"at": at(second), "connection": connection, "kind": kind, "change": change}
        for second, change in events
    ]


def steady(from_s: float, to_s: float) -> list[tuple[float, str]]:
    return [(from_s + i / 2, "progress") for i in range(int((to_s - from_s) * 2))]


def test_connections_are_counted_by_kind_and_fate() -> None:
    rows = [
        *talk(1, "download", (1, "opened"), *steady(1, 5.5), *steady(12, 18)),
        *talk(2, "dialogue", (1, "opened"), *steady(1, 5.5), (9.7, "reset")),
        *talk(3, "dialogue", (7, "opened"), *steady(7, 9)),  # after the fault
        *talk(4, "dialogue", (1, "opened"), (1.5, "progress"), (2.0, "closed")),  # before it
        *talk(5, "idle", (1, "opened"), (1.5, "progress"), (14.0, "progress")),
        *talk(6, "idle", (1, "opened"), (1.5, "progress")),
    ]
    outcome = failover_of(Silence().evidence(in_flight=rows))
    download, dialogue, idle = (outcome.in_flight[k] for k in ("download", "dialogue", "idle"))
    assert (download.survived, download.longest_stall_s) == (1, pytest.approx(7.0))
    assert (dialogue.survived, dialogue.reset, dialogue.longest_stall_s) == (0, 1, None)
    assert (idle.survived, idle.other, idle.longest_stall_s) == (1, 1, None)
    said = found.connections_reset(figures(outcome))
    assert said is not None
    assert "sloppy_tcp" in said.advice


def test_what_the_failback_resets_is_counted_apart() -> None:
    rows = [
        *talk(1, "dialogue", (1, "opened"), *steady(1, 5.5), (9.7, "reset")),
        *talk(2, "dialogue", (11, "opened"), *steady(11, 15), (15.4, "reset")),
    ]
    inputs = Silence()
    outcome = failover_of(inputs.evidence(in_flight=rows, recorded={"undo_ordered_ns": at(15.0)}))
    assert outcome.in_flight["dialogue"].reset == 1
    assert outcome.failback.reset == 1


# Entries


def entry(director: str, port: int, origin: str | None = None) -> dict[str, Any]:
    return {
        "at": at(5.0),
        "director": director,
        "change": "appeared",
        "protocol": "TCP",
        "state": "ESTABLISHED",
        "expires_s": 900,
        "origin": origin,
        "client_ip": "192.168.10.250",
        "client_port": port,
        "vip": VIP,
        "port": 80,
        "real_server": "192.168.10.21",
        "real_port": 80,
    }


def test_copies_are_counted_and_say_how_many_would_survive() -> None:
    polls = [{"at": at(5.0), "director": name, "what": "entries"} for name in ("bal01", "bal02")]
    services = [
        {"at": at(5.0), "director": "bal01", "active": 2, "inactive": 40},
        {"at": at(5.0), "director": "bal02", "active": 1, "inactive": 0},
    ]
    entries = [
        *(entry("bal01", port, "LOCAL") for port in (1001, 1002)),
        entry("bal02", 1002, "SYNC"),
    ]
    outcome = failover_of(Silence().evidence(entries=entries, polls=polls, services=services))
    before = {row.director: row for row in outcome.entries if row.phase == "before the fault"}
    assert (before["bal01"].active, before["bal01"].inactive) == (2, 40)
    assert (before["bal01"].synced, before["bal02"].synced) == (0, 1)
    assert outcome.would_survive == 1
    late = {row.director: row for row in outcome.entries if row.phase == "at the take-over"}
    assert late["bal01"].active is None  # it could not be asked any more


def passed(*packets: tuple[float, int, str]) -> Captured:
    """SYNs to a director: second, client port, director."""
    made = segments(
        [
            Seg(at_s=second, port=port, flag=Flag.SYN, mac=MACS[director])
            for second, port, director in packets
        ]
    )
    made = replace(made, at_ns=made.at_ns - BOOT_NS + ZERO_NS)
    read, lost = read_captures(ReadOnce({"capture.pcap": memoryview(pcap([]))}), [], frozenset())
    assert read is not None
    assert lost == []
    return replace(read, segments=made)


def test_an_entry_whose_packets_passed_another_director_alone_is_a_copy() -> None:
    polls = [{"at": at(5.0), "director": name, "what": "entries"} for name in ("bal01", "bal02")]
    entries = [
        *(entry("bal01", port) for port in (1001, 1002)),
        *(entry("bal02", port) for port in (1001, 1002, 1003, 1004)),
    ]
    wire = [(4.1, 1001, "bal01"), (4.2, 1002, "bal01"), (4.3, 1003, "bal02")]
    later = [(5.7, 1004, "bal01")]  # what comes after the instant tells nothing of it

    def synced(captured: Captured | None) -> dict[str, int | None]:
        made = replace(Silence().evidence(entries=entries, polls=polls), captured=captured)
        rows = failover_of(made).entries
        return {row.director: row.synced for row in rows if row.phase == "before the fault"}

    assert synced(passed(*wire, *later)) == {"bal01": 0, "bal02": 2}
    assert synced(passed(*later)) == {"bal01": None, "bal02": None}
    assert synced(None) == {"bal01": None, "bal02": None}


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        ("interrupted", "interrupted 10.2 s of 70 s after the fault"),
        (None, "interrupted: cut off (its program was killed, or could not go on writing) "),
        ("failed: No space left on device", "interrupted: ended by an error (No space left on"),
    ],
)
def test_a_fail_over_that_was_interrupted_is_not_judged(ended: object, why: str) -> None:
    whole = Silence().evidence()
    outcome = {**whole.manifest.raw["failover"], "after_s": 10, "tail_s": 60.0}
    ended_at_ns = outcome["ordered_ns"] + 10_200_000_000
    manifest = {"failover": outcome, "ended": ended, "ended_at_ns": ended_at_ns}
    found_out = failover_of(
        replace(whole, manifest=manifest_of({**whole.manifest.raw, **manifest}))
    )
    assert not found_out.valid
    assert found_out.why_invalid.startswith(why)
    assert found.failover_differs(figures(found_out)) is None
    assert found.sentence(found_out).startswith("This fail-over run is invalid: interrupted")


def test_a_fail_over_that_was_interrupted_before_its_fault_says_so() -> None:
    whole = Silence().evidence()
    waited = {**whole.manifest.raw, "ended": "interrupted"}
    never = {**waited, "failover": {"fault": "bal01: link-down"}}
    assert (
        failover_of(replace(whole, manifest=manifest_of(never))).why_invalid
        == "interrupted before the fault"
    )
    caught = {**waited, "failover": {"fault": None}}
    assert (
        "while a fault was waited for"
        in failover_of(replace(whole, manifest=manifest_of(caught))).why_invalid
    )
