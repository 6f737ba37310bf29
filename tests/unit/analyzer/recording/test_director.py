"""A director's facts, as a manifest has them."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.errors import RecordingError
from analyzer.ipvs.states import Timeouts
from analyzer.recording.director import directors_of
from analyzer.recording.manifest import manifest_of
from analyzer.recording.manifest.director import CONNTRACK_SYSCTLS

FACTS = {
    "link": "ssh://root@bal01",
    "kernel": "6.1.176",
    "hz": 100,
    "timer_phase_s": 0.25,
    "timer_phase_uncertainty_s": 0.003,
    "timeouts": {"tcp": 900.0, "tcpfin": 20.0, "udp": 300.0},
    "sysctl": {
        "conn_reuse_mode": "2",
        "conntrack": "1",
        "expire_nodest_conn": "1",
        "secure_tcp": "3",
        "drop_entry": "1",
    },
    "conn_tab_size": 4096,
    "macs": ["02:00:00:00:00:0b", "00:00:00:00:00:00", "not a mac", ""],
}


def test_every_fact_is_taken() -> None:
    (found,) = directors_of(manifest_of({"directors": {"bal01": FACTS}}))
    assert found.name == "bal01"
    assert found.timeouts == Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)
    assert (found.hz, found.phase_s, found.phase_uncertainty_s) == (100, 0.25, 0.003)
    assert found.macs == {0x02000000000B}  # loopback has none, and so has a tunnel
    assert found.conn_reuse_mode == 2
    assert (found.conntrack, found.expire_nodest_conn) == (True, True)
    assert (found.secure_tcp, found.drop_entry) == (3, 1)
    assert (found.conn_tab_size, found.kernel) == (4096, "6.1.176")


def test_what_was_not_learnt_is_none() -> None:
    (found,) = directors_of(manifest_of({"directors": {"bal01": {}}}))
    assert (found.timeouts, found.hz, found.phase_s) == (None, None, None)
    assert found.phase_uncertainty_s == 0
    assert found.macs == frozenset()
    assert found.conn_reuse_mode == 1  # the kernel's defaults
    assert (found.conntrack, found.expire_nodest_conn) == (False, False)
    assert (found.secure_tcp, found.drop_entry) == (0, 0)
    assert (found.conn_tab_size, found.kernel) == (None, None)


def test_the_tables_status_is_taken_and_what_is_none_is_not() -> None:
    status = {
        "entries": 126,
        "buckets": 2048,
        "lfactor": -4,
        "empty_buckets": 9,
        "chains": {"1": 3},
    }
    facts = {"table_status": status, "table_status_fullest": None, "entry_bytes": 288}
    (found,) = directors_of(manifest_of({"directors": {"bal01": facts}}))
    assert found.table_status is not None
    assert (found.table_status.entries, found.table_status.longest_chain) == (126, 1)
    assert (found.table_status_fullest, found.table_status_at_end) == (None, None)
    assert found.entry_bytes == 288


def test_a_director_is_of_ipvs_unless_it_says_otherwise() -> None:
    (found,) = directors_of(manifest_of({"directors": {"bal01": FACTS}}))
    assert found.kind == "ipvs"
    assert found.conntrack_sysctls == {}


def test_a_netfilter_director_has_its_sysctls_as_numbers() -> None:
    sysctl = {
        "nf_conntrack_tcp_timeout_time_wait": "7",
        "nf_conntrack_max": 65536,
        "nf_conntrack_udp_timeout": "soon",
        "nf_conntrack_acct": "1",
    }
    facts = {"kind": "netfilter", "sysctl": sysctl}
    (found,) = directors_of(manifest_of({"directors": {"lb": facts}}))
    assert found.kind == "netfilter"
    assert len(found.conntrack_sysctls) == len(CONNTRACK_SYSCTLS) == 17
    known = {name: value for name, value in found.conntrack_sysctls.items() if value is not None}
    assert known == {"nf_conntrack_tcp_timeout_time_wait": 7, "nf_conntrack_max": 65536}


@pytest.mark.parametrize(
    ("text", "mode"), [("0", 0), ("1", 1), (2, 2), ("x", 1), (None, 1), ("", 1), ("9" * 99, 1)]
)
def test_a_sysctl_that_is_no_number_is_the_default(text: str | int | None, mode: int) -> None:
    facts = {"sysctl": {"conn_reuse_mode": text}}
    assert directors_of(manifest_of({"directors": {"bal01": facts}}))[0].conn_reuse_mode == mode


@pytest.mark.parametrize("manifest", [{}, {"directors": None}, {"directors": {}}])
def test_a_plain_load_test_has_none(manifest: dict[str, Any]) -> None:
    assert directors_of(manifest_of(manifest)) == ()


def test_directors_keep_the_manifests_order() -> None:
    names = [found.name for found in directors_of(manifest_of({"directors": {"b": {}, "a": {}}}))]
    assert names == ["b", "a"]


@pytest.mark.parametrize(
    "directors",
    [
        ["bal01"],
        "bal01",
        {"bal01": [1]},
        {"bal01": {"hz": "many"}},
        {"bal01": {"hz": 0}},
        {"bal01": {"hz": -100}},
        {"bal01": {"hz": True}},
        {"bal01": {"timer_phase_s": "late"}},
        {"bal01": {"timeouts": {"tcp": 900}}},
        {"bal01": {"timeouts": {"tcp": 900, "tcpfin": "x", "udp": 300}}},
        {"bal01": {"timeouts": [900, 120, 300]}},
        {"bal01": {"macs": 7}},
        {"bal01": {"macs": [7]}},
        {"bal01": {"sysctl": [7]}},
        {"bal01": {"kind": "bpf"}},
        {"bal01": {"sysctl": {"conn_reuse_mode": 0.5}}},
        {"bal01": {"table_status_fullest": "x"}},
    ],
)
def test_facts_that_are_none_are_one_clear_error(directors: Any) -> None:
    with pytest.raises(RecordingError, match=r"run\.json: directors"):
        manifest_of({"directors": directors})
