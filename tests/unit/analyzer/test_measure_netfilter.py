"""A netfilter director from recording to Analysis: conntrack's entries, predicted and observed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from jsonschema import validate  # type: ignore[import-untyped]

from analyzer.analysis import analyse
from analyzer.ipvs.states import Flag
from analyzer.report import to_json
from analyzer.schema import schema_of
from tests.unit.analyzer.builders_conntrack import (
    SYSCTL,
    Flow,
    Node,
    closed,
    half_closed,
    left_open,
    refused,
)
from tests.unit.analyzer.builders_packets import Seg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Lifetime

TIME_WAIT = "nf_conntrack_tcp_timeout_time_wait"
ESTABLISHED = "nf_conntrack_tcp_timeout_established"
BURST = [closed(40000 + each, 1000 + 0.37 * each) for each in range(12)]


def row(analysis: Analysis, state: str) -> Lifetime:
    (found,) = [group for group in analysis.lifetimes if group.state == state]
    return found


def missing(analysis: Analysis) -> dict[str, str]:
    return {gap.what: gap.why for gap in analysis.not_measured}


def test_every_state_and_expiry_is_the_predicted_one(tmp_path: Path) -> None:
    flows = [*BURST, left_open(41000, 1001.0), half_closed(41001, 1001.5), refused(41002, 1002.0)]
    found = Node(flows=flows).played(tmp_path / "run")
    (agreed,) = found.agreement
    assert (agreed.entries_observed, agreed.entries_predicted) == (15, 15)
    assert agreed.state_matches == agreed.state_samples > 4000
    assert agreed.residuals == {"poll": 12}
    assert agreed.worst_expiry_error_s is not None
    assert agreed.worst_expiry_error_s < 0.06
    assert agreed.inactive_max_error is None
    assert "prediction-differs" not in {finding.id for finding in found.findings}


def test_the_sysctl_that_governs_is_measured_beside_what_it_is_set_to(tmp_path: Path) -> None:
    group = row(Node(flows=BURST).played(tmp_path / "run"), "TIME_WAIT")
    assert (group.timeout_name, group.timeout_s, group.timeout_source) == (TIME_WAIT, 30, "sysctl")
    assert (group.n, group.n_expired, group.counted, group.granule_s) == (12, 12, None, None)
    assert group.timeout_measured_s is not None
    assert group.timeout_measured_s.value == pytest.approx(30, abs=0.05)
    assert group.timeout_measured_s.uncertainty < 0.06


def test_a_timeout_other_than_configured_is_measured_and_not_agreed_with(tmp_path: Path) -> None:
    """Somebody set it after it was read: entries wait 30 s, not the 50 that the manifest has."""
    found = Node(flows=BURST, sysctl=SYSCTL | {TIME_WAIT: 50}).played(tmp_path / "run")
    group = row(found, "TIME_WAIT")
    assert group.timeout_s == 50
    assert group.timeout_measured_s is not None
    assert group.timeout_measured_s.value == pytest.approx(30, abs=0.05)
    severities = {finding.id: finding.severity for finding in found.findings}
    assert severities["conntrack-governs"] == "warning"
    assert severities["prediction-differs"] == "warning"
    assert "not in agreement with the 50 s configured" in found.verdict


def test_a_sysctl_that_was_set_midway_governs_what_ends_after_it(tmp_path: Path) -> None:
    """What ended in the ten seconds before it was noticed may have waited either."""
    before = [closed(40000 + each, 1000.0, waits_s=30) for each in range(3)]
    between = [closed(41000 + each, 1012.0, waits_s=9) for each in range(3)]
    after = [closed(42000 + each, 1030.0, waits_s=9) for each in range(3)]
    event = (1020.0, "sysctl-changed", f"{TIME_WAIT}: 30 -> 9")
    node = Node(flows=[*before, *between, *after], events=[event])
    found = node.played(tmp_path / "run")
    (agreed,) = found.agreement
    assert agreed.state_matches == agreed.state_samples > 0
    assert agreed.residuals == {"poll": 6, "outage": 3}
    groups = [(group.timeout_name, group.timeout_s) for group in found.lifetimes]
    assert sorted(groups) == [(TIME_WAIT, 9), (TIME_WAIT, 30)]
    assert "prediction-differs" not in {finding.id for finding in found.findings}


def test_what_ended_before_a_sysctl_was_last_read_as_it_was_is_decided(tmp_path: Path) -> None:
    """The event has since when it may have been otherwise: 2.5 s, not the 12 of all settings."""
    before = [closed(40000 + each, 1012.0, waits_s=9) for each in range(3)]
    between = [closed(41000 + each, 1018.0, waits_s=9) for each in range(4)]
    event = (1020.0, "sysctl-changed", f"{TIME_WAIT}: 30 -> 9")
    node = Node(flows=[*before, *between], events=[event], events_since_s=1017.5)
    (agreed,) = node.played(tmp_path / "run").agreement
    assert agreed.residuals == {"unexplained": 3, "outage": 4}


@pytest.mark.parametrize("later_s", [10, 300])
def test_a_timeout_set_midway_to_what_another_is_keeps_its_name(
    tmp_path: Path, later_s: int
) -> None:
    before = [closed(40000 + each, 1000.0, waits_s=30) for each in range(3)]
    after = [closed(42000 + each, 1030.0, waits_s=later_s) for each in range(2)]
    event = (1020.0, "sysctl-changed", f"{TIME_WAIT}: 30 -> {later_s}")
    found = Node(flows=[*before, *after], events=[event]).played(tmp_path / "run")
    groups = [(group.timeout_name, group.timeout_s, group.n) for group in found.lifetimes]
    assert groups == [(TIME_WAIT, 30, 3), (TIME_WAIT, later_s, 2)]


def test_what_is_open_or_half_closed_waits_its_own_sysctl(tmp_path: Path) -> None:
    found = Node(flows=[left_open(41000, 1001.0), half_closed(41001, 1001.5)]).played(
        tmp_path / "run"
    )
    waits = {group.state: (group.timeout_name, group.timeout_s) for group in found.lifetimes}
    assert waits == {
        "ESTABLISHED": (ESTABLISHED, 86_400),
        "CLOSE_WAIT": ("nf_conntrack_tcp_timeout_close_wait", 3600),
    }
    assert {"conntrack-idle", "conntrack-half-closed"} <= {each.id for each in found.findings}


def test_half_closed_connections_name_every_sysctl_that_they_wait_for(tmp_path: Path) -> None:
    """One of them goes on sending, and nobody acknowledges it."""
    silent, sending = half_closed(41000, 1001.0), half_closed(41001, 1001.5)
    data = Seg(1002.0, 41001, Flag.ACK, sequence=150, acknowledgement=1101, payload_bytes=10)
    flows = [silent, replace(sending, sent=(*sending.sent, data), waits_s=300)]
    found = Node(flows=flows).played(tmp_path / "run").findings
    (half,) = [finding for finding in found if finding.id == "conntrack-half-closed"]
    for sysctl, timeout_s in (("close_wait", 3600), ("unacknowledged", 300)):
        assert f"nf_conntrack_tcp_timeout_{sysctl}, {timeout_s} s" in half.title


def test_data_that_was_not_acknowledged_waits_the_shorter_sysctl(tmp_path: Path) -> None:
    whole = left_open(41000, 1001.0)
    flow = replace(whole, sent=whole.sent[:5], waits_s=300)
    group = row(Node(flows=[flow]).played(tmp_path / "run"), "ESTABLISHED")
    assert (group.timeout_name, group.timeout_s) == (
        "nf_conntrack_tcp_timeout_unacknowledged",
        300,
    )


def test_sysctls_that_were_not_read_are_assumed_and_said_so(tmp_path: Path) -> None:
    flows = [closed(40000 + each, 1000.0, waits_s=120) for each in range(4)]
    found = Node(flows=flows, sysctl={}, until_s=1130.0).played(tmp_path / "run")
    group = row(found, "TIME_WAIT")
    assert (group.timeout_s, group.timeout_source) == (None, None)
    assert group.timeout_measured_s is not None
    assert group.timeout_measured_s.value == pytest.approx(120, abs=0.06)
    assert f"{TIME_WAIT} 120 s" in missing(found)["conntrack's timeouts of node01"]


def test_what_ipvs_has_and_conntrack_lacks_is_not_measured(tmp_path: Path) -> None:
    found = Node(flows=BURST).played(tmp_path / "run")
    assert "ActiveConn and InActConn of node01" in missing(found)
    assert found.peaks == ()
    assert found.drains == ()
    assert found.pictures.tcpfin == ()
    assert found.timeline.predicted == ()
    assert found.forwarding is not None
    assert (found.forwarding.method, found.forwarding.basis) == ("nat", "configured")
    assert "of all traffic, conntrack held up to 12 entries on node01" in found.verdict


def test_an_entry_that_a_reset_deleted_is_no_lifetime_and_no_warning(tmp_path: Path) -> None:
    found = Node(flows=[refused(41002, 1002.0), *BURST]).played(tmp_path / "run")
    (early,) = found.ended_early
    assert (early.state, early.cause, early.n) == ("CLOSE", "refused", 1)
    ids = {finding.id for finding in found.findings}
    assert "refused" in ids
    assert "ended-early" not in ids


def test_a_table_nearly_full_is_a_problem(tmp_path: Path) -> None:
    found = Node(flows=BURST, sysctl=SYSCTL | {"nf_conntrack_max": 12}).played(tmp_path / "run")
    (full,) = [finding for finding in found.findings if finding.id == "table-full"]
    assert full.severity == "problem"
    assert "12 of at most 12 entries" in full.title


@pytest.mark.parametrize(
    ("counted", "most", "is_full"), [(95, 100, True), (94, 100, False), (None, 12, True)]
)
def test_a_table_is_nearly_full_from_95_of_100_entries_of_all_traffic_on(
    tmp_path: Path, counted: int | None, most: int, *, is_full: bool
) -> None:
    """By nf_conntrack_count; of an older recording by the entries read."""
    sysctl = SYSCTL | {"nf_conntrack_max": most}
    found = Node(flows=BURST, sysctl=sysctl, counted=counted).played(tmp_path / "run")
    full = [finding for finding in found.findings if finding.id == "table-full"]
    assert len(full) == is_full
    if full:
        assert f"{counted or 12} of at most {most} entries" in full[0].title


@pytest.mark.parametrize(("polled", "is_full"), [(19, True), (18, False)])
def test_without_that_count_the_entries_read_may_fill_the_table(
    tmp_path: Path, polled: int, *, is_full: bool
) -> None:
    flows = [left_open(41000 + each, 1001.0) for each in range(polled)]
    node = Node(flows=flows, sysctl=SYSCTL | {"nf_conntrack_max": 20}, until_s=1004.0)
    ids = {finding.id for finding in node.played(tmp_path / "run").findings}
    assert ("table-full" in ids) == is_full


def client_reset(port: int, began_s: float) -> Flow:
    """Open, then reset by the client: conntrack's CLOSE, as IPVS's."""
    whole = left_open(port, began_s)
    reset = Seg(began_s + 0.3, port, Flag.RST, sequence=150, acknowledgement=1100)
    states = (*whole.states, (began_s + 0.3, "CLOSE"))
    gone_s = began_s + 10.3
    return Flow(port=port, sent=(*whole.sent, reset), states=states, gone_s=gone_s, waits_s=10)


def half_open(port: int, began_s: float) -> Flow:
    """A SYN that was answered, and nothing after it."""
    sent = (
        Seg(began_s, port, Flag.SYN, sequence=99),
        Seg(began_s + 0.1, port, Flag.SYN, reply=True, sequence=899, acknowledgement=100),
    )
    states = ((began_s, "SYN_SENT"), (began_s + 0.1, "SYN_RECV"))
    return Flow(port=port, sent=sent, states=states, gone_s=began_s + 60.1, waits_s=60)


@pytest.mark.parametrize("flow", [left_open, half_closed, client_reset, half_open])
def test_what_is_true_of_ipvs_alone_is_not_said_of_conntrack(
    tmp_path: Path, flow: Callable[[int, float], Flow]
) -> None:
    flows = [flow(41000 + each, 1001.0 + each) for each in range(3)]
    found = Node(flows=flows).played(tmp_path / "run")
    (observed,) = (agreed.entries_observed for agreed in found.agreement)
    assert observed == 3
    ids = {finding.id for finding in found.findings}
    assert ids.isdisjoint(
        {
            *("idle-established", "expires-late", "reset-closes-early", "half-open"),
            *("server-held-open", "table-memory", "port-reuse-delay"),
        }
    )


def test_a_refused_connection_is_explained_by_conntracks_rules(tmp_path: Path) -> None:
    found = Node(flows=[refused(41002, 1002.0)]).played(tmp_path / "run")
    (one,) = [finding for finding in found.findings if finding.id == "refused"]
    assert "conntrack deletes an entry whose only answer was a reset at once" in one.evidence
    assert "nft list ruleset" in one.advice
    assert "ipvsadm" not in one.advice


def test_without_a_capture_states_are_known_and_lifetimes_are_not(tmp_path: Path) -> None:
    found = Node(flows=BURST, captured=False).played(tmp_path / "run")
    assert found.agreement == ()
    assert found.lifetimes == ()
    assert "no expiry by a timer" in found.verdict


def test_udp(tmp_path: Path) -> None:
    def flow(port: int, began_s: float) -> Flow:
        instants = (0.0, 0.1, 3.0)
        sent = tuple(
            Seg(began_s + at_s, port, Flag.DATAGRAM, reply=number == 1)
            for number, at_s in enumerate(instants)
        )
        states = tuple(
            (began_s + at_s, state)
            for at_s, state in zip(instants, ("UNREPLIED", "REPLIED", "ASSURED"), strict=True)
        )
        return Flow(port=port, sent=sent, states=states, gone_s=began_s + 123.0, waits_s=120)

    flows = [flow(40000 + each, 1000 + each) for each in range(5)]
    found = Node(flows=flows, protocol="UDP", until_s=1140.0).played(tmp_path / "run")
    group = row(found, "ASSURED")
    assert (group.protocol, group.timeout_name, group.n_expired) == (
        "UDP",
        "nf_conntrack_udp_timeout_stream",
        5,
    )
    (agreed,) = found.agreement
    assert agreed.state_matches == agreed.state_samples > 0


def test_offloaded_flows_are_named_and_differ_from_nothing(tmp_path: Path) -> None:
    """A flowtable forwards past conntrack, which then shows no state of theirs."""
    whole = left_open(41000, 1001.0)
    flow = replace(whole, states=(*whole.states, (1002.0, "OFFLOAD")))
    found = Node(flows=[flow, *BURST]).played(tmp_path / "run")
    (agreed,) = found.agreement
    assert agreed.state_matches == agreed.state_samples
    assert "states and timeouts of 1 flows on node01" in missing(found)


def test_the_law_and_the_table_are_named(tmp_path: Path) -> None:
    found = Node(flows=BURST).played(tmp_path / "run")
    (law,) = found.laws
    assert (law.kind, law.law, law.assumed) == ("netfilter", "6.1", False)
    (table,) = found.tables
    assert (table.buckets, table.conn_max, table.resizes) == (16_384, 65_536, False)


def test_what_is_printed_fits_the_schema(tmp_path: Path) -> None:
    recording = Node(flows=[*BURST, left_open(41000, 1001.0)]).recorded(tmp_path / "run")
    validate(to_json(analyse(recording)), schema_of("report"))


def test_a_recording_without_a_single_entry_is_analysed_too(tmp_path: Path) -> None:
    found = Node(flows=[], until_s=1001.0).played(tmp_path / "run")
    assert found.lifetimes == ()
    assert "No entry was seen" in found.verdict
    assert "service-missing" not in {finding.id for finding in found.findings}
