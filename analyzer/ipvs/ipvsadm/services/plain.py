"""Understands lines of IPv4 in which nothing is in doubt as they come: most of a long table.

The kernel's notation of an end cannot be ipvsadm's, so such a line needs none of its neighbours. A
dotted one is ipvsadm's unless the rest of its table is the kernel's: ``analyzer.ipvs.ipvsadm
.services.table`` knows when that is not so.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.ipvsadm.ends import plain_end
from analyzer.ipvs.ipvsadm.model import Destination, Service
from analyzer.ipvs.ipvsadm.services import columns as cols
from analyzer.ipvs.ipvsadm.services.flags import NO_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    Columns = tuple[str, ...] | None
    Groups = Sequence[str | Any]


def plain_server(groups: Groups, columns: Columns) -> Destination | None:
    """Make a real server of what ``row_pattern`` matched; None where its end is not plain."""
    (
        _,
        *words,
    ) = groups
    end = plain_end(*words[:4])
    if end is None:
        return None
    values = cols.matched(columns or cols.PLAIN, words[4:])
    return Destination(address=end[0], port=end[1], port_name=None, **values)  # type: ignore[arg-type]


def plain_service(groups: Groups, columns: Columns) -> Service | None:
    """Make a service of what ``PLAIN`` matched; None where its end or its numbers are not plain."""
    protocol, _, v4, port, hexadecimal, hex_port, scheduler, counters = groups
    end = plain_end(v4, port, hexadecimal, hex_port)
    if end is None or (counters and columns not in (cols.STATS, cols.RATE)):
        return None
    values: dict[str, Any] = (
        NO_FLAGS if scheduler else cols.matched(columns or (), counters.split())
    )
    return Service(
        protocol=intern(protocol),
        address=end[0],
        port=end[1],
        family="ipv4",
        scheduler=scheduler and intern(scheduler),
        **values,
    )
