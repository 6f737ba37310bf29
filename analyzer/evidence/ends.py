"""Virtual services, as a recording names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.wire.segments import PROTOCOLS, VirtualEnd

if TYPE_CHECKING:
    import pandas as pd


def virtual_ends(
    service: VirtualEnd | None, services: pd.DataFrame, entries: pd.DataFrame
) -> set[VirtualEnd]:
    """Addresses that clients send to; those of a firewall-mark service are in its entries."""
    ends = {service} if service else set()
    for table in (services, entries):
        known = table[["protocol", "vip", "port"]].dropna().drop_duplicates()
        rows = zip(known["protocol"], known["vip"], known["port"], strict=True)
        ends |= {VirtualEnd(name, vip, int(port)) for name, vip, port in rows if port}
    return {end for end in ends if end.protocol in PROTOCOLS}
