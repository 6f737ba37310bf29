"""The counters of real servers (Conns, InPkts ...), which no file of /proc has for each of them.

By netlink they come with the services. Over a shell they cost a process, the director's own
``ipvsadm --stats``, and so are asked for at a pace of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analyzer.ipvs.ipvsadm.reader import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.ipvsadm.model import Destination, ParsedText, Service

ServerKey = tuple[str, str | None, int | None, int | None, str, int]
"""Protocol, VIP and port (None for a firewall mark), mark, and the real server's address, port."""

ASK = (
    "PATH=$PATH:/usr/sbin:/sbin; { ipvsadm -Ln --stats --exact || "
    "sudo -n ipvsadm -Ln --stats --exact; } 2>/dev/null"
)


class Counters(NamedTuple):
    """One real server's, since it was added or zeroed (``struct ip_vs_kstats``).

    In dr and tun no reply passes the director: out_packets and out_bytes stay 0 there.
    """

    conns: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int


def parse_counters(text: str) -> Mapping[ServerKey, Counters] | None:
    """Read ``ipvsadm -Ln --stats --exact``; None where it is no such text."""
    said = parse(text)
    return None if said.error or said.header is None else counters_of(said)


def counters_of(said: ParsedText) -> dict[ServerKey, Counters]:
    """The counters of all real servers for which a text has them."""
    return {
        _key(service, server): counters
        for service in said.services
        for server in service.destinations
        if (counters := _counters(server)) is not None
    }


def rates_of(said: ParsedText) -> dict[ServerKey, int]:
    """CPS of all real servers for which a text has it (``ipvsadm --rate``)."""
    return {
        _key(service, server): server.cps
        for service in said.services
        for server in service.destinations
        if server.cps is not None
    }


def _key(service: Service, server: Destination) -> ServerKey:
    marked = service.fwmark is not None
    return (
        service.protocol,
        None if marked else service.address,
        None if marked else service.port,
        service.fwmark,
        server.address or "",
        server.port or 0,
    )


def _counters(server: Destination) -> Counters | None:
    found = (server.conns, server.inpkts, server.outpkts, server.inbytes, server.outbytes)
    if any(number is None for number in found):
        return None
    return Counters(*(number or 0 for number in found))
