"""The counters of real servers (Conns, InPkts ...), which no file of /proc has for each of them.

By netlink they come with the services. Over a shell they cost a process, the director's own
``ipvsadm --stats``, and so are asked for at a pace of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from analyzer.ipvs.ipvsadm.ends import ipvsadm_end
from analyzer.ipvs.ipvsadm.services.columns import STATS, titled
from analyzer.units import MAX_COUNTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.ipvsadm import model as ipvsadm
    from analyzer.ipvs.proc.formats import Destination, Service

ServerKey = tuple[str, str | None, int | None, int | None, str, int]
"""Protocol, VIP and port (None for a firewall mark), mark, and the real server's address, port."""

ASK = (
    "PATH=$PATH:/usr/sbin:/sbin; { ipvsadm -Ln --stats --exact || "
    "sudo -n ipvsadm -Ln --stats --exact; } 2>/dev/null"
)


def server_key(service: Service, server: Destination) -> ServerKey:
    """What makes two rows the same real server of the same service."""
    virtual = (service.protocol, service.address, service.port, service.fwmark)
    return (*virtual, server.address, server.port)


class Counters(NamedTuple):
    """One real server's, since it was added or zeroed (``struct ip_vs_kstats``).

    In dr and tun no reply passes the director: out_packets and out_bytes stay 0 there.
    """

    conns: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterTable:
    """What ``ipvsadm --stats`` said of real servers.

    Attributes:
        unread: lines that were not understood, or had numbers that no kernel counts.
    """

    counters: Mapping[ServerKey, Counters]
    unread: int = 0


_LONGEST_LINE = 400
_HEADER, _TITLE = "IP Virtual Server version ", "Prot LocalAddress:Port "
_BELOW = "-> RemoteAddress:Port"
_SERVICE = re.compile(r"(TCP|UDP|SCTP) +(\S+) |FWM +(-?[0-9]{1,10}) ", re.ASCII)
_SERVER = re.compile(r" +-> (\S+) +" + " +".join([r"([0-9]{1,20})"] * len(STATS)) + " *", re.ASCII)
_VirtualKey = tuple[str, str | None, int | None, int | None]


def parse_counters(text: str) -> CounterTable | None:
    """Read ``ipvsadm -Ln --stats --exact``; None where it is no such text.

    What a program on the director prints in one known way: ``analyzer.ipvs.ipvsadm`` reads what
    people paste, and takes a hundred times as long.
    """
    header, _, rest = text.partition("\n")
    title, _, rest = rest.partition("\n")
    is_table = header.startswith(_HEADER) and title.startswith(_TITLE)
    if not is_table or titled(title[:_LONGEST_LINE].split()) != STATS:
        return None
    counters: dict[ServerKey, Counters] = {}
    service: _VirtualKey | None = None
    unread = 0
    for line in rest.split("\n"):
        if len(line) > _LONGEST_LINE:
            unread += 1
        elif server := _SERVER.fullmatch(line):
            key = _end(server[1])
            numbers = Counters(*map(int, server.groups()[1:]))
            if service is None or key is None or max(numbers) > MAX_COUNTER:
                unread += 1
            else:
                counters[service + key] = numbers
        elif line.lstrip().startswith("->"):
            unread += not line.lstrip().startswith(_BELOW)
        elif line.strip():
            service = _virtual(line)
            unread += service is None
    return CounterTable(counters=counters, unread=unread)


def _virtual(line: str) -> _VirtualKey | None:
    """A service's part of the key; None of a line that is none, whose servers are left out."""
    service = _SERVICE.match(line)
    if service is None:
        return None
    if service[3] is not None:
        return ("FWM", None, None, int(service[3]) & 0xFFFFFFFF)
    end = _end(service[2])
    return None if end is None else (service[1], *end, None)


@lru_cache(maxsize=1 << 17)
def _end(word: str) -> tuple[str, int] | None:
    """``192.168.10.2:80`` or ``[fd00::2]:80``."""
    end = ipvsadm_end(word, lambda _: None)
    return None if end is None else (end.address, end.port or 0)


def counters_of(said: ipvsadm.ParsedText) -> dict[ServerKey, Counters]:
    """The counters of all real servers for which a text has them."""
    return {
        _key(service, server): counters
        for service in said.services
        for server in service.destinations
        if (counters := _counters(server)) is not None
    }


def rates_of(said: ipvsadm.ParsedText) -> dict[ServerKey, int]:
    """CPS of all real servers for which a text has it (``ipvsadm --rate``)."""
    return {
        _key(service, server): server.cps
        for service in said.services
        for server in service.destinations
        if server.cps is not None
    }


def _key(service: ipvsadm.Service, server: ipvsadm.Destination) -> ServerKey:
    marked = service.fwmark is not None
    return (
        service.protocol,
        None if marked else service.address,
        None if marked else service.port,
        service.fwmark,
        server.address or "",
        server.port or 0,
    )


def _counters(server: ipvsadm.Destination) -> Counters | None:
    found = (server.conns, server.inpkts, server.outpkts, server.inbytes, server.outbytes)
    if any(number is None for number in found):
        return None
    return Counters(*(number or 0 for number in found))
