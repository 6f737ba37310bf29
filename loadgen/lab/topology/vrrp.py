"""What a lab's VRRP settings cannot be, each in one line (keepalived.conf(5), RFC 9568)."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Topology

MODES = ("multicast", "unicast")
VERSIONS = (2, 3)
LONGEST_INTERVAL_S = {2: 255, 3: 40.95}
"""A byte of seconds; 12 bits of centiseconds."""
CENTISECONDS_PER_S = 100
LONGEST_PREEMPT_DELAY_S = 1000


def vrrp_contradictions(topology: Topology) -> Iterator[str]:
    """One line each."""
    if topology.vrrp not in MODES:
        yield f"vrrp is one of {', '.join(MODES)}, not {topology.vrrp!r}"
    if topology.vrrp_version not in VERSIONS:
        yield f"vrrp_version is 2 or 3, not {topology.vrrp_version}"
        return
    yield from _of_interval(topology)
    if not 0 <= topology.preempt_delay_s <= LONGEST_PREEMPT_DELAY_S:
        longest = LONGEST_PREEMPT_DELAY_S
        yield f"preempt_delay_s is 0 to {longest}, not {topology.preempt_delay_s}"
    if topology.nopreempt and topology.preempt_delay_s:
        yield "nopreempt and preempt_delay contradict each other: one never takes the VIP back"
    yield from _without_keepalived(topology)
    yield from _of_directors(topology)


def _of_interval(topology: Topology) -> Iterator[str]:
    interval_s, longest_s = topology.advert_interval_s, LONGEST_INTERVAL_S[topology.vrrp_version]
    if topology.vrrp_version == 2:
        if interval_s not in range(1, int(longest_s) + 1):
            less = 0 < interval_s <= LONGEST_INTERVAL_S[3]
            why = "; parts of a second need vrrp_version 3" if less else ""
            yield f"advert_interval_s is a whole number of 1 to 255, not {interval_s}{why}"
        elif topology.ipv6 and interval_s > LONGEST_INTERVAL_S[3]:
            yield f"advert_interval_s with IPv6 is at most {LONGEST_INTERVAL_S[3]:g}"
    elif not (1 / CENTISECONDS_PER_S <= interval_s <= longest_s):
        yield f"advert_interval_s of vrrp_version 3 is 0.01 to {longest_s:g}, not {interval_s}"
    elif not isclose(interval_s * CENTISECONDS_PER_S, round(interval_s * CENTISECONDS_PER_S)):
        yield f"advert_interval_s of vrrp_version 3 has two decimals, not {interval_s}"


def _without_keepalived(topology: Topology) -> Iterator[str]:
    """Static VIPs have no election to set anything of."""
    if topology.vip_by != "static":
        return
    chosen = {
        "vrrp unicast": topology.vrrp == "unicast",
        "vrrp_version 3": topology.vrrp_version == 3,
        "nopreempt": topology.nopreempt,
        "preempt_delay": topology.preempt_delay_s > 0,
        "use_vmac": topology.use_vmac,
        "bfd": topology.bfd,
    }
    for name in (name for name, is_chosen in chosen.items() if is_chosen):
        yield f"{name} is keepalived's, and static VIPs run without it"


def _of_directors(topology: Topology) -> Iterator[str]:
    for name, is_chosen in (("vrrp unicast", topology.vrrp == "unicast"), ("bfd", topology.bfd)):
        for vip in topology.vips:
            if is_chosen and len(vip.priorities) == 1:
                yield f"{name}: VIP {vip.address} has one director, so nobody to send to"
    masters = {vip.first_master for vip in topology.vips if vip.priorities}
    stays = "nopreempt" if topology.nopreempt else "preempt_delay"
    if (topology.nopreempt or topology.preempt_delay_s) and len(masters) > 1:
        yield f"{stays} wants one master for all VIPs: a director that comes first keeps them"
