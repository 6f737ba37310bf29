"""keepalived.conf of each VRRP setting: unicast, version 3, nopreempt, delays, a virtual MAC."""

from __future__ import annotations

from typing import Any

import pytest

from loadgen.lab.hosts import guest, keepalived
from loadgen.lab.topology.layout import HostCounts, lay_out

TWO = HostCounts()
VIP_LINE = "192.168.10.2/32 dev eth1 label eth1:2"


def conf(director: str = "bal01", counts: HostCounts = TWO, **settings: Any) -> list[str]:
    """Its lines, without blanks before and after."""
    topology = lay_out(counts, **settings)
    text = keepalived.render(topology, topology.host(director))
    return [line.strip() for line in text.splitlines()]


def test_unicast_names_its_own_address_and_every_other_director_of_the_vip() -> None:
    lines = conf("bal02", HostCounts(directors=3), vrrp="unicast")
    at = lines.index("unicast_src_ip 192.168.10.12")
    assert lines[at + 1 : at + 5] == ["unicast_peer {", "192.168.10.11", "192.168.10.13", "}"]


def test_multicast_names_no_peers() -> None:
    assert not [line for line in conf() if "unicast" in line]


@pytest.mark.parametrize("settings", [{"nopreempt": True}, {"preempt_delay_s": 8}])
def test_a_director_that_does_not_preempt_at_once_begins_as_backup(
    settings: dict[str, Any],
) -> None:
    first, second = conf("bal01", **settings), conf("bal02", **settings)
    (word,) = ["nopreempt" if "nopreempt" in settings else "preempt_delay 8"]
    assert {"state BACKUP", word} <= set(first) & set(second)
    topology = lay_out(**settings)
    later = [
        host.name
        for host in topology.hosts
        if guest.KEEPALIVED_LATER in guest.share_files(topology, host)
    ]
    assert later == ["bal02"]


def test_version_3_may_advertise_several_times_a_second() -> None:
    lines = conf(vrrp_version=3, advert_interval_s=0.25)
    assert {"version 3", "advert_int 0.25"} <= set(lines)


def test_an_ipv6_vip_has_an_instance_of_version_3_of_its_own() -> None:
    lines = conf(ipv6=True, vrrp="unicast")
    of_v4 = lines[: lines.index("vrrp_instance VI6_1 {")]
    of_v6 = lines[lines.index("vrrp_instance VI6_1 {") :]
    assert VIP_LINE in of_v4
    assert "version 3" not in of_v4
    assert {"version 3", "virtual_router_id 41", "fd00:10::2/128 dev eth1"} <= set(of_v6)
    assert {"unicast_src_ip fd00:10::11", "fd00:10::12"} <= set(of_v6)


def test_in_nat_both_instances_of_a_vip_move_together_with_the_gateway() -> None:
    lines = conf(ipv6=True, forwarding="nat")
    at = lines.index("group {")
    assert lines[at + 1 : at + 4] == ["VI_1", "VI6_1", "}"]
    assert {"192.168.20.1/32 dev eth1", "fd00:20::1/128 dev eth1"} <= set(lines)


def test_a_vmac_holds_the_vip_on_its_own_interface() -> None:
    lines = conf(use_vmac=True, ipv6=True)
    assert {"use_vmac vrrp4.41", "use_vmac vrrp6.41"} <= set(lines)
    assert {"192.168.10.2/32", "fd00:10::2/128"} <= set(lines)  # made later: no dev
    assert "vmac_xmit_base" not in lines
    assert "vmac_xmit_base" in conf(use_vmac=True, vrrp="unicast")
    topology = lay_out(use_vmac=True)
    assert topology.vips[0].mac == "00:00:5e:00:01:29"
    modules = guest.share_files(topology, topology.host("bal01"))["modules"]
    assert modules == "ip_vs ip_vs_rr macvlan\n"


def test_bfd_runs_with_every_other_director_and_the_first_choice_alone_goes_by_it() -> None:
    three = HostCounts(directors=3)
    first, second = (conf(name, three, bfd=True) for name in ("bal01", "bal02"))
    at = first.index("bfd_instance bal02 {")
    assert first[at + 1 : at + 6] == [
        *("neighbor_ip 192.168.10.12", "source_ip 192.168.10.11"),
        *("min_rx 100", "min_tx 100", "multiplier 3"),
    ]
    assert "bfd_instance bal03 {" in first
    at = first.index("track_bfd {")
    assert first[at + 1 : at + 3] == ["bal02", "}"]
    assert {"bfd_instance bal01 {", "bfd_instance bal03 {"} <= set(second)
    assert "track_bfd {" not in second
    assert not [line for line in conf() if "bfd" in line]
