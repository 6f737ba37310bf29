"""What the header after a link header may be, by its ethertype (IEEE; IANA's list)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analyzer.arrays import Ints

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
INNER_ETHERNET = 0x6558
"""An Ethernet frame in a tunnel (Transparent Ethernet Bridging)."""


def by_version(version: Ints) -> Ints:
    """The ethertype of IP headers by their first four bits; 0 for none."""
    return np.select([version == 4, version == 6], [IPV4, IPV6], 0)
