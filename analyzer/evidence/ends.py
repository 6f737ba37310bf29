"""Virtual services, as a recording names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.wire.segments import PROTOCOLS, VirtualEnd

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd


def virtual_ends(sent_to: Collection[VirtualEnd], *tables: pd.DataFrame) -> set[VirtualEnd]:
    """Addresses that clients send to: in polls of services; of firewall marks, in entries."""
    ends = set(sent_to)
    for table in tables:
        known = table[["protocol", "vip", "port"]].dropna().drop_duplicates()
        rows = zip(known["protocol"], known["vip"], known["port"], strict=True)
        ends |= {VirtualEnd(name, vip, int(port)) for name, vip, port in rows if port}
    return {end for end in ends if end.protocol in PROTOCOLS}
