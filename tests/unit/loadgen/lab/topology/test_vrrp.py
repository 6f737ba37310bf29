"""VRRP settings that cannot be are refused in one line; those that can survive TOML and JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.lab.topology import file as topology_file
from loadgen.lab.topology.layout import HostCounts, lay_out
from loadgen.lab.topology.model import Topology

REFUSED = [
    ('vrrp = "broadcast"', "vrrp is one of multicast, unicast, not 'broadcast'"),
    ("vrrp_version = 4", "vrrp_version is 2 or 3, not 4"),
    ("advert_interval_s = 0.3", "parts of a second need vrrp_version 3"),
    ("advert_interval_s = 0", "a whole number of 1 to 255, not 0"),
    ("advert_interval_s = 256", "a whole number of 1 to 255, not 256"),
    ("advert_interval_s = nan", "a whole number of 1 to 255, not nan"),
    ("advert_interval_s = 41\nipv6 = true", "with IPv6 is at most 40.95"),
    ("vrrp_version = 3\nadvert_interval_s = 0.009", "0.01 to 40.95, not 0.009"),
    ("vrrp_version = 3\nadvert_interval_s = 41", "0.01 to 40.95, not 41"),
    ("vrrp_version = 3\nadvert_interval_s = 0.125", "has two decimals, not 0.125"),
    (f"vrrp_version = 3\nadvert_interval_s = 1{'0' * 400}", "is 0.01 to 40.95, not 1"),
    ("advert_interval_s = true", "advert_interval_s: expected float, not True"),
    ("preempt_delay_s = 1001", "preempt_delay_s is 0 to 1000, not 1001"),
    ("nopreempt = true\npreempt_delay_s = 3", "nopreempt and preempt_delay contradict"),
    ('vrrp = "unicast"\ndirectors = 1', "VIP 192.168.10.2 has one director"),
    ("bfd = true\ndirectors = 1", "bfd: VIP 192.168.10.2 has one director"),
    ("nopreempt = true\nvips = 2", "nopreempt wants one master for all VIPs"),
    ("preempt_delay_s = 2\nvips = 2", "preempt_delay wants one master for all VIPs"),
    *(
        (f'{line}\nvip_by = "static"', "is keepalived's, and static VIPs run without it")
        for line in (
            'vrrp = "unicast"',
            "vrrp_version = 3",
            "nopreempt = true",
            "preempt_delay_s = 1",
            "use_vmac = true",
            "bfd = true",
        )
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        topology_file.from_toml(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    version = draw(st.sampled_from([2, 3]))
    choices: list[dict[str, Any]] = [{}, {"nopreempt": True}, {"preempt_delay_s": 1000}]
    preempt: dict[str, Any] = draw(st.sampled_from(choices))
    centiseconds = draw(st.integers(1, 4095))
    others: dict[str, Any] = {
        "vrrp": draw(st.sampled_from(["multicast", "unicast"])),
        "vrrp_version": version,
        "advert_interval_s": centiseconds / 100 if version == 3 else centiseconds % 40 + 1,
        "use_vmac": draw(st.booleans()),
        "bfd": draw(st.booleans()),
        "ipv6": draw(st.booleans()),
    }
    return preempt | others


@given(settings())
def test_what_can_be_survives_toml_and_json(chosen: dict[str, Any]) -> None:
    topology = lay_out(HostCounts(directors=3), **chosen)
    assert topology_file.from_toml(topology_file.to_toml(topology)) == topology
    assert Topology.from_dict(topology.to_dict()) == topology
