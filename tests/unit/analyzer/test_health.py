"""Each check passes a director that is well, fails the one thing that is wrong, never guesses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analyzer.health import Check, Health, checks, verdict
from analyzer.health.document import to_json
from analyzer.ipvs.proc.formats import Destination, Entry, Service
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_status import TableStatus

VIP = "192.168.10.2"
NAME = f"TCP {VIP}:80"


def service(
    forwarding: str = "dr", active: int = 0, inactive: int = 30, weight: int = 1
) -> Service:
    server = Destination(
        address="192.168.10.21",
        port=80,
        forwarding=forwarding,
        weight=weight,
        active=active,
        inactive=inactive,
    )
    return Service(
        protocol="TCP",
        address=VIP,
        port=80,
        fwmark=None,
        scheduler="rr",
        destinations=(server,),
    )


def entries(state: str, n: int = 30, clients: int = 1) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            protocol="TCP",
            client_ip=f"10.0.0.{number % clients}",
            client_port=40_000 + number,
            vip=VIP,
            port=80,
            real_server="192.168.10.21",
            real_port=80,
            state=state,
            expires_s=9,
        )
        for number in range(n)
    )


WELL = Health(
    director="bal01",
    kernel="6.1.176",
    hz=250,
    timeouts=Timeouts(),
    services=(service(),),
    conn_tab_bits=12,
    per_s={NAME: 50.0},
    entries=entries("FIN_WAIT"),
    sample_of=None,
    memory_available_bytes=10**9,
    vrrp_state="MASTER",
    sync_daemon="none",
)
OTHER = replace(WELL, director="bal02", vrrp_state="BACKUP", per_s={NAME: 0.0})


def found(what: str, *healths: Health, expected: Timeouts | None = Timeouts()) -> Check:  # noqa: B008 - frozen
    """The last check of that name."""
    return [check for check in checks(healths, expected) if check.what == what][-1]


def test_two_directors_that_are_well_pass_everything() -> None:
    made = checks([WELL, OTHER], Timeouts())
    assert {check.outcome for check in made} == {"passed"}
    assert verdict(made) == "All is as it should be"
    document = json.loads(json.dumps(to_json(made, [WELL, OTHER]), allow_nan=False))
    assert document["directors"][0]["connections_per_s"] == 50


STATUS = TableStatus(
    entries=126, buckets=2048, lfactor=-4, empty_buckets=1928, chains={"1": 114, "2": 6}
)
NEW = replace(WELL, kernel="7.2.7", conn_tab_bits=8, conn_max=2**30, table_status=STATUS)


def test_a_table_is_as_the_kernel_reports_it_where_it_does() -> None:
    assert found("table of entries", WELL).detail == "30 entries by the counters, in 4,096 buckets"
    check = found("table of entries", NEW)
    assert check.outcome == "passed"
    assert check.detail == (
        "126 entries in 2,048 buckets (lfactor -4), chains of up to 2, by /proc/net/ip_vs_status; "
        "it grows by itself; at most 1,073,741,824 (conn_max)"
    )
    unread = found("table of entries", replace(NEW, table_status=None))
    assert unread.outcome == "passed"
    assert unread.detail.startswith(
        "30 entries by the counters, in 256 buckets; it grows by itself"
    )
    document = to_json([check], [NEW])["directors"][0]
    assert document["table_status"]["chains"] == {"1": 114, "2": 6}
    assert (document["conn_max"], document["entry_bytes"]) == (2**30, None)


@pytest.mark.parametrize("status", [STATUS, None])
def test_a_table_at_its_limit_is_failed(status: TableStatus | None) -> None:
    full = replace(NEW, conn_max=30, table_status=status)
    assert found("table of entries", full).outcome == "failed"


def test_counters_that_stand_still_give_no_rate_and_no_pass() -> None:
    still = replace(NEW, per_s=None, why_no_rate="net.ipv4.vs.run_estimation is 0")
    for what in ("source ports", "memory"):
        check = found(what, still)
        assert (check.outcome, check.detail) == ("not measured", "net.ipv4.vs.run_estimation is 0")


def test_chains_are_not_predicted_of_a_table_that_grows() -> None:
    assert "chains" in found("memory", WELL).detail
    assert "chains" not in found("memory", NEW).detail


WRONG = {
    "a timeout that is not in force": ("timeouts in force", {"timeouts": Timeouts(tcpfin_s=30)}),
    "more connections than ports": ("source ports", {"per_s": {NAME: 300.0}}),
    "more entries than memory": ("memory", {"memory_available_bytes": 1_000_000}),
    "replies that pass a dr director": ("entries' states", {"entries": entries("TIME_WAIT")}),
    "servers that leak the VIP": ("entries' states", {"entries": entries("SYN_RECV")}),
    "nat that never saw clients close": (
        "entries' states",
        {"services": (service("nat"),), "entries": entries("FIN_WAIT")},
    ),
    "entries that no counter knows": ("counters and entries", {"entries": entries("FIN_WAIT", 90)}),
    "active for inactive": ("counters and entries", {"entries": entries("ESTABLISHED")}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_failed_by_the_check_that_names_it(wrong: str) -> None:
    what, changed = WRONG[wrong]
    check = found(what, replace(WELL, **changed), OTHER)  # type: ignore[arg-type]
    one = [each for each in checks([replace(WELL, **changed)], Timeouts()) if each.what == what]  # type: ignore[arg-type]
    assert one[0].outcome == "failed", one
    assert check.director == "bal02"


UNKNOWN = {
    "timeouts in force": {"timeouts": None},
    "source ports": {"per_s": None},
    "memory": {"memory_available_bytes": None},
    "entries' states": {"entries": None},
    "counters and entries": {"entries": None},
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_cannot_be_known_is_not_measured(what: str) -> None:
    check = found(what, replace(WELL, **UNKNOWN[what]))  # type: ignore[arg-type]
    assert check.outcome == "not measured"
    assert check.detail


def test_timeouts_that_nobody_expected_are_shown_and_neither_pass_nor_fail() -> None:
    assert found("timeouts in force", WELL, expected=None).outcome == "skipped"


def test_more_clients_have_more_ports() -> None:
    busy = replace(WELL, per_s={NAME: 300.0})
    assert found("source ports", busy).outcome == "failed"
    assert found("source ports", replace(busy, entries=entries("FIN_WAIT", clients=3))).outcome == (
        "passed"
    )
    assert found("source ports", replace(busy, entries=None)).outcome == "not measured"


def sampled(states: tuple[Entry, ...], **health: Any) -> Health:
    """A table of 30,000, of which 300 are active, seen by a thousandth."""
    large = (service(active=300, inactive=29_700),)
    return replace(WELL, services=large, entries=states, sample_of=30_000, **health)


def test_a_sample_is_judged_by_its_shares_and_said_to_be_one() -> None:
    well = sampled(entries("FIN_WAIT"))
    for what in ("entries' states", "counters and entries"):
        check = found(what, well)
        assert check.outcome == "passed"
        assert "30 of 30,000 entries, a sample" in check.detail
    half_active = sampled(entries("FIN_WAIT", 15) + entries("ESTABLISHED", 15))
    assert found("counters and entries", half_active).outcome == "failed"
    assert found("entries' states", sampled(entries("TIME_WAIT"))).outcome == "failed"
    assert to_json((), [well])["directors"][0]["sample_of"] == 30_000


def test_clients_that_a_sample_does_not_have_may_be_there() -> None:
    assert found("source ports", sampled(entries("FIN_WAIT"))).outcome == "passed"
    busy = sampled(entries("FIN_WAIT"), per_s={NAME: 300.0})
    assert found("source ports", busy).outcome == "not measured"


@pytest.mark.parametrize("differs", [service(weight=0), service("nat")])
def test_directors_whose_services_differ_are_named_with_the_row(differs: Service) -> None:
    check = found("services alike", WELL, replace(OTHER, services=(differs,)))
    assert check.outcome == "failed"
    assert check.director == "bal02"
    assert "192.168.10.21:80" in check.detail


def test_counters_do_not_make_services_differ() -> None:
    other = replace(OTHER, services=(service(inactive=0),), entries=())
    assert found("services alike", WELL, other).outcome == "passed"


@pytest.mark.parametrize(
    ("roles", "outcome"),
    [
        (("none", "none"), "passed"),
        (("master", "backup"), "passed"),
        (("master+backup", "master+backup"), "passed"),
        (("backup", "master"), "failed"),  # the VRRP master does not send
        (("master", "none"), "failed"),  # nobody takes
        (("master", "master"), "failed"),
        (("master", None), "not measured"),
    ],
)
def test_where_one_director_sends_its_entries_the_other_takes_them(
    roles: tuple[str | None, str | None], outcome: str
) -> None:
    pair = [replace(one, sync_daemon=role) for one, role in zip((WELL, OTHER), roles, strict=True)]
    assert found("sync daemon", *pair).outcome == outcome


def test_one_director_alone_has_nothing_to_be_alike_with() -> None:
    alone = checks([WELL], None)
    assert [c.outcome for c in alone if c.what in ("services alike", "sync daemon")] == [
        "skipped",
        "skipped",
    ]
