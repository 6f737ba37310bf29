"""What a text said, as ``analyzer parse --json`` prints it.

None is "not in the text", never zero: a table printed with ``--stats`` has no scheduler, one
without it has no packets.

What a text may have half a million of is a ``Struct``: made in a tenth of a dataclass's time.
"""

from dataclasses import dataclass

from msgspec import Struct

from analyzer.documents import JsonDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """``IP Virtual Server version 1.2.1 (size=4096)``."""

    version: str
    size: int | None  # buckets of the connection table


class End(Struct, frozen=True, kw_only=True, gc=False):
    """An address and a port."""

    address: str  # a host's name where ipvsadm printed one
    port: int | None  # None where it was cut, or the service's name is not a known one
    port_name: str | None  # where ipvsadm printed a name


class Destination(Struct, frozen=True, kw_only=True, gc=False):
    """A real server: a ``->`` row."""

    address: str
    port: int | None
    port_name: str | None
    forward: str | None = None  # as printed: Masq, Route, Tunnel, Local
    weight: int | None = None
    active: int | None = None  # ActiveConn
    inactive: int | None = None  # InActConn
    uthreshold: int | None = None  # --thresholds; 0 is none
    lthreshold: int | None = None
    persistent: int | None = None  # PersistConn: templates that point at it
    tunnel_info: str | None = None  # ipip, gue:6080:r+c, gre:+c
    conns: int | None = None  # --stats
    inpkts: int | None = None
    outpkts: int | None = None
    inbytes: int | None = None
    outbytes: int | None = None
    cps: int | None = None  # --rate, all of them per second
    inpps: int | None = None
    outpps: int | None = None
    inbps: int | None = None  # bytes, not bits
    outbps: int | None = None


class Service(Struct, frozen=True, kw_only=True, gc=False):
    """A virtual service and its real servers."""

    protocol: str  # TCP, UDP, SCTP, FWM, or as printed
    address: str | None = None
    port: int | None = None
    port_name: str | None = None
    fwmark: int | None = None
    family: str | None = None  # ipv4, ipv6
    scheduler: str | None = None
    flags: str | None = None  # what follows the scheduler, as printed
    persistent_s: int | None = None
    netmask: str | None = None  # 255.255.255.0; for IPv6 the prefix length
    ops: bool | None = None  # one-packet scheduling
    pe: str | None = None  # persistence engine
    sched_flags: tuple[str, ...] | None = None  # mh-port, sh-fallback, flag-1
    match: str | None = None  # what dpvs prints after MATCH
    conns: int | None = None  # --stats
    inpkts: int | None = None
    outpkts: int | None = None
    inbytes: int | None = None
    outbytes: int | None = None
    cps: int | None = None  # --rate
    inpps: int | None = None
    outpps: int | None = None
    inbps: int | None = None
    outbps: int | None = None
    destinations: tuple[Destination, ...] = ()


class Connection(Struct, frozen=True, kw_only=True, gc=False):
    """An entry. Port 0 with NONE or ASSURED is a persistence template."""

    proto: str  # IP where a template belongs to a firewall mark
    expire_s: int  # whole seconds
    state: str
    source: End
    virtual: End
    destination: End
    pe_name: str | None = None
    pe_data: str | None = None
    origin: str | None = None  # LOCAL or SYNC


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutValues:
    """``Timeout (tcp tcpfin udp): 900 120 300``, in seconds."""

    tcp: int
    tcpfin: int
    udp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A sync daemon; ipvsadm before 1.29 prints no more than ``mcast`` and ``syncid``."""

    role: str  # master, backup
    mcast: str | None  # interface
    syncid: int | None
    maxlen: int | None
    group: str | None
    port: int | None
    ttl: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Totals since the counters were zeroed."""

    conns: int
    inpkts: int
    outpkts: int
    inbytes: int
    outbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The kernel's estimate, per second."""

    cps: int
    inpps: int
    outpps: int
    inbps: int
    outbps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument(JsonDocument):
    """All that was understood of a text, and what was not."""

    header: Header | None
    services: tuple[Service, ...]
    connections: tuple[Connection, ...]
    timeouts: TimeoutValues | None
    daemons: tuple[Daemon, ...]
    total: Counters | None
    rate: Rates | None
    cpus: dict[str, Counters] | None  # by number, as text
    warnings: tuple[str, ...]
    error: str | None  # the tool's own words, when it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText(ParsedDocument):
    """The document, and how much of the text was understood."""

    lines_understood: int  # titles count: an empty table was understood
