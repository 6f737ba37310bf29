"""What the header after a link header may be, by its ethertype (IEEE; IANA's list)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analyzer.arrays import Ints

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
PPP, PPPOE, MPLS = 0x880B, 0x8864, (0x8847, 0x8848)
MACSEC = 0x88E5
NEVER_CONNECTIONS = (0, ARP, 0x8035, 0x8100, 0x8808, 0x8809, 0x8863, 0x888E, 0x88CC, 0x88F7, 0x9000)
"""Address resolution, pauses, link aggregation, discovery, access control, clocks; 0 for none."""

INNER_ETHERNET = 0x6558
"""An Ethernet frame in a tunnel (Transparent Ethernet Bridging)."""


def by_version(version: Ints) -> Ints:
    """The ethertype of IP headers by their first four bits; 0 for none."""
    return np.select([version == 4, version == 6], [IPV4, IPV6], 0)
