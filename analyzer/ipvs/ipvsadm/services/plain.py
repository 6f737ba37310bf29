"""Understands lines of IPv4 in which nothing is in doubt as they come: most of a long table.

The kernel's notation of an end cannot be ipvsadm's, so such a line needs none of its neighbours. A
dotted one is ipvsadm's unless the rest of its table is the kernel's: ``analyzer.ipvs.ipvsadm
.services.table`` knows when that is not so.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.ipvsadm.model import Destination, Service
from analyzer.ipvs.ipvsadm.services import columns as cols

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Columns = tuple[str, ...] | None
    PlainEnd = tuple[str, int] | None
    Words = Sequence[str]


def plain_server(known: PlainEnd, words: Words, columns: Columns) -> Destination | None:
    """Make a real server of what ``row_pattern`` matched; None where its end is not plain.

    Args:
        known: its end, as ``plain_end`` read it.
        words: the values.
        columns: theirs; those of the plain table, unless given.
    """
    if known is None:
        return None
    columns = columns or cols.PLAIN
    make = _MAKERS.get(columns)
    if make:
        return make(*known, *words)
    values: dict[str, Any] = cols.matched(columns, words)
    return Destination(address=known[0], port=known[1], port_name=None, **values)


def _plain(
    address: str, port: int, forward: str, weight: str, active: str, inactive: str
) -> Destination:
    return Destination(
        address=address,
        port=port,
        port_name=None,
        forward=intern(forward),
        weight=int(weight),
        active=int(active),
        inactive=int(inactive),
    )


def _counted(
    address: str, port: int, conns: str, inpkts: str, outpkts: str, inbytes: str, outbytes: str
) -> Destination:
    return Destination(
        address=address,
        port=port,
        port_name=None,
        conns=int(conns),
        inpkts=int(inpkts),
        outpkts=int(outpkts),
        inbytes=int(inbytes),
        outbytes=int(outbytes),
    )


_MAKERS: dict[tuple[str, ...], Callable[..., Destination]] = {
    cols.PLAIN: _plain,
    cols.STATS: _counted,
}
"""Of the commonest columns: with their names in the call it takes a third of the time."""


def plain_service(
    protocol: str, known: PlainEnd, scheduler: str | None, counters: str | None, columns: Columns
) -> Service | None:
    """Make a service of what ``PLAIN`` matched; None where its end or its numbers are not plain."""
    if known is None:
        return None
    address, port = known
    if scheduler:
        return Service(
            protocol=intern(protocol),
            address=address,
            port=port,
            family="ipv4",
            scheduler=intern(scheduler),
            flags="",
            ops=False,
            sched_flags=(),
        )
    if not counters or columns not in (cols.STATS, cols.RATE):
        return None
    values: dict[str, Any] = cols.matched(columns, counters.split())
    return Service(protocol=intern(protocol), address=address, port=port, family="ipv4", **values)
