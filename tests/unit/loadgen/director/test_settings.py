"""What changes seldom on a director, and what is reported when it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import Timeouts
from loadgen.director.settings import DirectorSettings, ask_script, changes, parse_settings

VIP, OTHER_VIP = "192.168.10.2", "fd00:10::2"
VIPS = {VIP, OTHER_VIP}

TEXT = """\
@timeouts
Timeout (tcp tcpfin udp): 900 20 300
@daemon
master sync daemon (mcast=eth1, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)
@sysctl
conntrack:0
sync_threshold:3\t50
Not A Name:1
@addresses
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0    inet 192.168.10.11/24 brd 192.168.10.255 scope global eth0\\       valid_lft forever
2: eth0    inet 192.168.10.2/32 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 fd00:10::b/64 scope global \\       valid_lft forever preferred_lft forever
3: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0\\       valid_lft forever
@keepalived
/proc/321/comm
@end
"""
NOW = parse_settings(TEXT)


def changes_of(after: DirectorSettings, before: DirectorSettings = NOW) -> list[tuple[str, str]]:
    return list(changes(before, after, VIPS))


def test_it_is_read_part_by_part() -> None:
    assert NOW.timeouts == Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)
    assert NOW.sync_daemon == "master"
    assert NOW.sysctl == {"conntrack": "0", "sync_threshold": "3\t50"}
    assert NOW.addresses == frozenset(("127.0.0.1", "192.168.10.11", VIP, "fd00:10::b", "10.8.0.1"))
    assert NOW.keepalived


def test_keepaliveds_state_is_concluded_from_the_vips_it_holds() -> None:
    assert NOW.vips_held(VIPS) == frozenset({VIP})
    assert NOW.vrrp_state(VIPS) == "MASTER"
    assert NOW.vrrp_state({OTHER_VIP}) == "BACKUP"
    assert replace(NOW, keepalived=False).vrrp_state(VIPS) is None
    assert replace(NOW, addresses=None).vrrp_state(VIPS) is None


@pytest.mark.parametrize("text", ["", "sh: nonsense\n", "@timeouts\n@daemon\n@end\n"])
def test_what_was_not_given_is_unknown_not_empty(text: str) -> None:
    found = parse_settings(text)
    assert (found.timeouts, found.sync_daemon, found.addresses) == (None, None, None)
    assert not found.keepalived


@given(st.text() | st.lists(st.sampled_from(TEXT.splitlines()), max_size=20).map("\n".join))
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(parse_settings(text), DirectorSettings)


def test_nothing_is_reported_while_nothing_changes() -> None:
    assert changes_of(NOW) == []


WITHOUT_VIP = replace(NOW, addresses=frozenset({"192.168.10.11"}))


@pytest.mark.parametrize(
    ("after", "events"),
    [
        (
            replace(NOW, timeouts=Timeouts(tcp_s=900, tcpfin_s=10, udp_s=300)),
            [("timeouts-changed", "900 10 300")],  # as the analysis reads it
        ),
        (
            replace(NOW, sysctl={"conntrack": "1", "sync_threshold": "3\t50"}),
            [("sysctl-changed", "conntrack: 0 -> 1")],
        ),
        (replace(NOW, insert_failed=8), []),  # it was not known before
        (WITHOUT_VIP, [("vip-lost", VIP), ("vrrp-state", "BACKUP")]),
        (replace(NOW, keepalived=False), [("vrrp-state", "keepalived does not run")]),
        (replace(NOW, sync_daemon="none"), [("sync-daemon", "none")]),
        (replace(NOW, sync_daemon="master+backup"), [("sync-daemon", "master+backup")]),
        # what cannot be read this time has not changed for that
        (replace(NOW, timeouts=None, timeouts_source=None, sync_daemon=None), []),
        (replace(NOW, sysctl={}), []),
        (replace(NOW, addresses=None), []),
    ],
)
def test_a_change_is_an_event(after: DirectorSettings, events: list[tuple[str, str]]) -> None:
    assert changes_of(after) == events


@pytest.mark.parametrize(
    ("now", "events"), [(8, [("insert-failed", "7 -> 8")]), (7, []), (6, []), (None, [])]
)
def test_only_a_rise_of_lost_packets_is_an_event(
    now: int | None, events: list[tuple[str, str]]
) -> None:
    before = replace(NOW, insert_failed=7)
    assert changes_of(replace(NOW, insert_failed=now), before) == events


def test_lost_packets_are_read_where_connections_are_tracked_alone() -> None:
    text = "@statistics\nentries insert_failed\n00000001 0000000a\n00000001 00000001\n@end\n"
    assert parse_settings(text).insert_failed == 11
    assert NOW.insert_failed is None
    assert "@statistics" in ask_script(kind="netfilter")
    assert "@statistics" not in ask_script()


def test_a_vip_that_comes_back_is_reported_too() -> None:
    assert changes_of(NOW, WITHOUT_VIP) == [("vip-gained", VIP), ("vrrp-state", "MASTER")]
