"""The texts that a director gives: read line by line, doubts collected, never an exception.

Every ``parse_…`` takes a text and returns records; a line that is not understood costs itself and
becomes a warning that names its number, never the rest. The texts come from another machine and
are untrusted: nothing here evaluates or trusts a length they state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from analyzer.ipvs.states import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORWARDING = {"Route": "dr", "Masq": "nat", "Tunnel": "tun", "Local": "local"}
"""The kernel's word for a forwarding method (``ip_vs_fwd_name``) to ours."""

MAX_WARNINGS = 20
_WARNING_CHARACTERS = 80

MAX_PROTOCOL, MAX_STATE = 8, 24
"""``SHUTDOWN_RECEIVED`` of SCTP is the longest state that a kernel has (``ip_vs_proto_sctp.c``)."""

NAME = re.compile(rf"[!-~]{{1,{MAX_STATE}}}")
"""A protocol or a state as it may be printed; the kernel's own have at most 11 characters."""

EXPECTED_ENTRY = "a connection entry"

MAX_LINE = 1024
"""Characters of a line that are read; a kernel's have 150, and a persistence engine's data."""

MOST_CONNECTIONS = 2**31 - 1
"""ActiveConn, InActConn and weights are ints of the kernel's (``atomic_t``)."""
_LONGEST_EXPIRES_S = 10**9


def whole_lines(raw: bytes, chunk_bytes: int) -> Iterator[bytes]:
    """A text in pieces that end with a line, of ``chunk_bytes`` or one longer line each."""
    start = 0
    while start < len(raw):
        end = raw.rfind(b"\n", start, start + chunk_bytes) + 1
        end = end or raw.find(b"\n", start) + 1 or len(raw)
        yield raw[start:end]
        start = end


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A real server: a ``->`` row of ``/proc/net/ip_vs``."""

    address: str
    port: int
    forwarding: str  # dr, nat, tun, local, or as printed
    weight: int
    active: int  # ActiveConn
    inactive: int  # InActConn


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A virtual service with its real servers. A firewall-mark service has no address."""

    protocol: str  # TCP, UDP, SCTP, FWM
    address: str | None
    port: int | None
    fwmark: int | None
    scheduler: str
    destinations: tuple[Destination, ...]


def entries_counted(services: Iterable[Service]) -> int:
    """ActiveConn and InActConn of all real servers; the table may hold entries of others too."""
    servers = (server for service in services for server in service.destinations)
    return sum(server.active + server.inactive for server in servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTable:
    """``/proc/net/ip_vs``, read once."""

    conn_tab_size: int | None  # buckets of the connection table
    services: tuple[Service, ...]
    warnings: tuple[str, ...]
    unread: int = 0  # lines that were not understood


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of ``/proc/net/ip_vs_conn``."""

    protocol: str
    client_ip: str
    client_port: int
    vip: str
    port: int
    real_server: str
    real_port: int
    state: str
    expires_s: int  # whole seconds, rounded down, 0 while the timer is late

    @property
    def key(self) -> tuple[str, str, int, str, int]:
        """What makes two lines the same entry."""
        return (self.protocol, self.client_ip, self.client_port, self.vip, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTable:
    """``/proc/net/ip_vs_conn``, read once, duplicates removed (a read under churn is torn)."""

    entries: tuple[Entry, ...]
    lines: int
    warnings: tuple[str, ...]


_KEPT_CHARACTERS = 160
"""Of a line that is kept; a kernel's have a hundred at most."""


def parse_services(text: str) -> ServiceTable:
    """Read ``/proc/net/ip_vs`` (addresses and ports in hexadecimal, ``ip_vs_info_seq_show``)."""
    size: int | None = None
    services: list[tuple[Service, list[Destination]]] = []
    warnings = ParserWarnings()
    for number, line in _lines(text):
        if line.startswith("->"):
            read = _destination if len(line) <= _KEPT_CHARACTERS else _destination.__wrapped__
            destination = read(line)
            if destination and services:
                services[-1][1].append(destination)
            elif not line.startswith("-> RemoteAddress"):
                warnings.add(number, line, "a real server below a service")
        elif line.startswith("IP Virtual Server"):
            size = _number_after(line, "size=")
        elif not line.startswith("Prot "):
            service = _service(line)
            if service:
                services.append((service, []))
            else:
                warnings.add(number, line, "a virtual service")
    return ServiceTable(
        conn_tab_size=size,
        services=tuple(
            replace(service, destinations=tuple(servers)) for service, servers in services
        ),
        warnings=warnings.lines,
        unread=warnings.count,
    )


def parse_entries(text: str) -> EntryTable:
    """Read ``/proc/net/ip_vs_conn`` (``ip_vs_conn_seq_show``), line by line.

    For few entries; ``analyzer.ipvs.proc.entry_text`` reads the same from a million lines in a
    second.
    """
    entries: dict[tuple[str, str, int, str, int], Entry] = {}
    lines = 0
    warnings = ParserWarnings()
    for number, line in _lines(text):
        if is_entries_title(line):
            continue
        entry = read_entry(line)
        if entry is None:
            warnings.add(number, line, EXPECTED_ENTRY)
            continue
        lines += 1
        entries[entry.key] = entry
    return EntryTable(entries=tuple(entries.values()), lines=lines, warnings=warnings.lines)


_TIMEOUTS = re.compile(r"Timeout \(tcp tcpfin udp\):\s*(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})")


def parse_timeouts(text: str) -> Timeouts | None:
    """Read ``ipvsadm -L --timeout``; None if the three numbers are not in it."""
    found = _TIMEOUTS.search(text)
    if not found:
        return None
    tcp_s, tcpfin_s, udp_s = (float(number) for number in found.groups())
    return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)


# Of 31 years at most: a longer one is no machine's, and would set its boot before 1970.
_UPTIME = re.compile(r"\s*(\d{1,9}\.\d{2}) \d+\.\d{2}\s*(?:\n|$)")


def parse_uptime(text: str) -> tuple[float, str] | None:
    """Split a text that begins with ``/proc/uptime``: the uptime in seconds, and the rest."""
    found = _UPTIME.match(text)
    return (float(found[1]), text[found.end() :]) if found else None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line[:MAX_LINE].strip()
        if stripped:
            yield number, stripped


def _number_after(line: str, word: str) -> int | None:
    found = re.search(re.escape(word) + r"(\d{1,12})", line)
    return int(found[1]) if found else None


@lru_cache(maxsize=1 << 15)
def _service(line: str) -> Service | None:
    words = line.split()
    if len(words) < 3:
        return None
    fwmark = _hex(words[1]) if words[0] == "FWM" else None
    end = _end(words[1]) if fwmark is None else (None, None)
    if end is None or (words[0] == "FWM" and fwmark is None):
        return None
    return Service(
        protocol=words[0],
        address=end[0],
        port=end[1],
        fwmark=fwmark,
        scheduler=words[2],
        destinations=(),
    )


@lru_cache(maxsize=1 << 17)
def _destination(line: str) -> Destination | None:
    """A real server; most lines are the same from poll to poll, and are kept as they were read."""
    words = line.split()
    end = _end(words[1]) if len(words) >= 6 else None
    numbers = [_integer(word, MOST_CONNECTIONS) for word in words[3:6]]
    if end is None or None in numbers:
        return None
    weight, active, inactive = (number for number in numbers if number is not None)
    return Destination(
        address=end[0],
        port=end[1],
        forwarding=FORWARDING.get(words[2], words[2]),
        weight=weight,
        active=active,
        inactive=inactive,
    )


def is_entries_title(line: str) -> bool:
    """Whether a line, stripped, stands above the entries."""
    return line.startswith("Pro ")


def read_entry(line: str) -> Entry | None:
    """One line of ``/proc/net/ip_vs_conn``; None if it is none."""
    words = line.split()
    if len(words) < 9 or not _are_names(words[0], words[7]):
        return None
    read = _ends if len(line) <= _KEPT_CHARACTERS else _ends.__wrapped__
    ends = read(*words[1:7])
    expires_s = _integer(words[8], _LONGEST_EXPIRES_S)
    if ends is None or expires_s is None:
        return None
    client_ip, client_port, vip, port, real_server, real_port = ends
    return Entry(
        protocol=words[0],
        client_ip=client_ip,
        client_port=client_port,
        vip=vip,
        port=port,
        real_server=real_server,
        real_port=real_port,
        state=words[7],
        expires_s=expires_s,
    )


@lru_cache(maxsize=1024)
def _are_names(protocol: str, state: str) -> bool:
    is_protocol = NAME.fullmatch(protocol) and len(protocol) <= MAX_PROTOCOL
    return bool(is_protocol and NAME.fullmatch(state))


@lru_cache(maxsize=1 << 15)
def _ends(
    client: str, client_port: str, virtual: str, port: str, server: str, server_port: str
) -> tuple[str, int, str, int, str, int] | None:
    """Three addresses, each with its port; an entry has the same ones from poll to poll."""
    client_ip, vip, real_server = _address(client), _address(virtual), _address(server)
    ports = [_port(client_port), _port(port), _port(server_port)]
    known = [each for each in ports if each is not None]
    if client_ip is None or vip is None or real_server is None or len(known) < len(ports):
        return None
    return client_ip, known[0], vip, known[1], real_server, known[2]


def _end(word: str) -> tuple[str, int] | None:
    """``C0A80A02:0050`` or ``[fd00:…:0002]:0050``."""
    host, colon, port_text = word.rpartition(":")
    address = _address(host.strip("[]"))
    port = _port(port_text)
    return (address, port) if colon and address is not None and port is not None else None


@lru_cache(maxsize=65536)
def _address(word: str) -> str | None:
    """Eight hexadecimal digits for IPv4, eight full groups for IPv6."""
    try:
        if ":" in word:
            return str(ip_address(word)) if "%" not in word else None
        return str(ip_address(bytes.fromhex(word))) if len(word) == 8 else None
    except ValueError:
        return None


_HEX = re.compile(r"[0-9A-Fa-f]{1,8}")
_PORT = re.compile(r"[0-9A-Fa-f]{1,4}")
_INTEGER = re.compile(r"[0-9]{1,18}")


def _hex(word: str) -> int | None:
    return int(word, 16) if _HEX.fullmatch(word) else None


def _port(word: str) -> int | None:
    return int(word, 16) if _PORT.fullmatch(word) else None


def _integer(word: str, most: int) -> int | None:
    number = int(word) if _INTEGER.fullmatch(word) else None
    return number if number is not None and number <= most else None


class ParserWarnings:
    """The first few lines that were not understood, and how many there were.

    Attributes:
        count: of all of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[str] = []

    def add(self, number: int, line: str, expected: str) -> None:
        """Remember a line that is not what was expected."""
        self.count += 1
        if len(self._kept) < MAX_WARNINGS:
            shown = line[:_WARNING_CHARACTERS]
            self._kept.append(f"line {number}: {shown!r} is not {expected}")

    @property
    def lines(self) -> tuple[str, ...]:
        """A warning each, and the last one how many more there would be."""
        more = self.count - len(self._kept)
        return (*self._kept, f"and {more} more lines") if more else tuple(self._kept)
