"""Every link answers the same questions: one suite, run against all of them to one director.

The director is on the kernel of a guest, which has IPVS and runs Python, so that ``local`` is what
it says; ssh goes through a real sshd. What is asked is in ``ask_links.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.ask_links import LINKS, TCPFIN_S, TIMEOUTS

pytestmark = pytest.mark.alone

VIP = "192.168.10.2"


@pytest.fixture(scope="module")
def links(guest: Any) -> Any:
    """What each link said."""
    return guest.answer()["links"]


@pytest.fixture(params=LINKS)
def said(request: pytest.FixtureRequest, links: Any) -> Any:
    answers = links[request.param]
    assert "failed" not in answers, answers
    return answers


def test_it_says_who_it_is(said: Any) -> None:
    assert said["kernel"].startswith("6.1")
    assert len(said["boot_id"]) == 36
    assert said["macs"] == ["02:00:00:00:00:0b"]
    assert said["conn_tab_size"] == 4096


def test_it_says_how_it_counts_time(said: Any) -> None:
    assert said["hz"] == 100
    assert abs(said["timer_phase_s"]) <= said["timer_phase_uncertainty_s"] + 0.001
    assert said["ticks"]
    assert said["in_order"]


def test_it_says_how_it_is_set_up(said: Any) -> None:
    tcp, tcpfin, udp = map(float, TIMEOUTS)
    assert said["timeouts"] == {"tcp": tcp, "tcpfin": tcpfin, "udp": udp}
    assert said["sync_daemon"] == "none"
    assert said["vips_held"] == [VIP]
    assert said["vrrp_state"] is None  # no keepalived runs in a lab of static VIPs
    assert said["sysctl"]["conn_reuse_mode"] == "1"


def test_netlink_and_ipvsadm_tell_the_same(links: Any) -> None:
    sources = {link: links[link]["timeouts_source"] for link in LINKS}
    assert (sources.pop("local"), sources.pop("worker")) == ("netlink", "netlink")
    assert set(sources.values()) == {"ipvsadm"}
    for question in ("services", "counters", "entries", "timeouts", "boot_id"):
        (first, *others) = (_unordered(links[link][question]) for link in LINKS)
        assert all(other == first for other in others), question


def _unordered(value: Any) -> Any:
    """Services' real servers come in any order."""
    if isinstance(value, list):
        return sorted((_unordered(each) for each in value), key=repr)
    if isinstance(value, dict):
        return {name: _unordered(each) for name, each in value.items()}
    return value


def test_services_and_counters_are_those_of_four_requests(said: Any) -> None:
    (service,) = said["services"]
    assert (service["protocol"], service["address"], service["port"]) == ("TCP", VIP, 80)
    servers = {server["address"]: server for server in service["destinations"]}
    assert sorted(servers) == ["192.168.10.21", "192.168.10.22"]
    assert {server["forwarding"] for server in servers.values()} == {"dr"}
    assert {server["inactive"] for server in servers.values()} == {2}
    for _, conns, in_packets, out_packets, in_bytes, out_bytes in said["counters"]:
        assert conns == 2
        assert in_packets >= 10
        assert in_bytes > 40 * in_packets
        assert out_packets == out_bytes == 0  # dr: no reply passes it
    assert len(said["counters"]) == 2


def test_entries_are_those_of_four_requests_and_their_cost_is_known(said: Any) -> None:
    assert [(state, port) for state, _, port in said["entries"]] == [("FIN_WAIT", 80)] * 4
    assert said["cost_known"]


def test_a_link_that_is_lost_can_be_opened_again(said: Any) -> None:
    assert said["reopened"]


def test_by_it_timeouts_are_set_for_a_while_and_put_back(said: Any) -> None:
    """Also by netlink alone: ipvsadm reported what was in force."""
    tcp, tcpfin, udp = map(float, TIMEOUTS)
    changed = said["changed"]
    assert changed["within"] == [tcp, TCPFIN_S, udp]
    assert changed["after"] == [tcp, tcpfin, udp]
    assert changed["owing"] == []
    assert changed["said"][-1].endswith("are 900 177 300, as they were")


def test_what_a_director_is_owed_is_found_over_any_link(links: Any) -> None:
    assert len({links[link]["changed"]["identity"] for link in LINKS}) == 1


def test_a_poller_records_by_it(said: Any) -> None:
    recorded = said["recorded"]
    assert recorded["polls"] >= 4
    assert recorded["entries"] == {"appeared": 4}
    assert recorded["rows_of_a_poll"] == [2]
    assert recorded["conns"] == [2]
    assert 0 < recorded["uncertainty_ms"] < 100
    assert recorded["lost"] == []
