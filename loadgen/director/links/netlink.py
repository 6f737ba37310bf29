"""IPVS by generic netlink: what a director's own kernel says to a program that runs on it.

pyroute2 carries the messages; this module alone knows it. Its own ``ipvs`` classes are not used:
they drop the counters, and take a timeout for a text. What each attribute holds is said here, from
include/uapi/linux/ip_vs.h; records of ours come out.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from pyroute2 import NetlinkError
from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, genlmsg, nla
from pyroute2.netlink.generic import GenericNetlinkSocket

from analyzer.ipvs.proc.formats import Destination, Service, ServiceTable
from analyzer.ipvs.states import Timeouts
from analyzer.units import MAX_COUNTER
from loadgen.director.counters import Counters, server_key
from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadgen.director.counters import ServerKey

_FAMILY, _VERSION = "IPVS", 1
_GET_SERVICE, _GET_DEST, _GET_DAEMON, _SET_CONFIG, _GET_CONFIG = 4, 8, 11, 12, 13

_PROTOCOLS = {socket.IPPROTO_TCP: "TCP", socket.IPPROTO_UDP: "UDP", socket.IPPROTO_SCTP: "SCTP"}
_FORWARDING = {0: "nat", 1: "local", 2: "tun", 3: "dr"}
"""IP_VS_CONN_F_MASQ, LOCALNODE, TUNNEL, DROUTE; other bits of the word are not its method."""

_FORWARDING_BITS = 0x0007
_DAEMONS = {1: "master", 2: "backup"}  # IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP


class NetlinkRefused(LoadgenError):
    """The kernel does not let us ask, or has no IPVS."""


class _Stats(nla):  # type: ignore[misc]
    """``IPVS_STATS_ATTR_*``, 64 bits each (since Linux 4.1)."""

    prefix = "IPVS_STATS_ATTR_"
    nla_map = (
        ("IPVS_STATS_ATTR_UNSPEC", "none"),
        ("IPVS_STATS_ATTR_CONNS", "uint64"),
        ("IPVS_STATS_ATTR_INPKTS", "uint64"),
        ("IPVS_STATS_ATTR_OUTPKTS", "uint64"),
        ("IPVS_STATS_ATTR_INBYTES", "uint64"),
        ("IPVS_STATS_ATTR_OUTBYTES", "uint64"),
    )


class _Service(nla):  # type: ignore[misc]
    prefix = "IPVS_SVC_ATTR_"
    nla_map = (
        ("IPVS_SVC_ATTR_UNSPEC", "none"),
        ("IPVS_SVC_ATTR_AF", "uint16"),
        ("IPVS_SVC_ATTR_PROTOCOL", "uint16"),
        ("IPVS_SVC_ATTR_ADDR", "cdata"),
        ("IPVS_SVC_ATTR_PORT", "be16"),
        ("IPVS_SVC_ATTR_FWMARK", "uint32"),
        ("IPVS_SVC_ATTR_SCHED_NAME", "asciiz"),
    )


class _Dest(nla):  # type: ignore[misc]
    prefix = "IPVS_DEST_ATTR_"
    nla_map = (
        ("IPVS_DEST_ATTR_UNSPEC", "none"),
        ("IPVS_DEST_ATTR_ADDR", "cdata"),
        ("IPVS_DEST_ATTR_PORT", "be16"),
        ("IPVS_DEST_ATTR_FWD_METHOD", "uint32"),
        ("IPVS_DEST_ATTR_WEIGHT", "int32"),
        ("IPVS_DEST_ATTR_U_THRESH", "uint32"),
        ("IPVS_DEST_ATTR_L_THRESH", "uint32"),
        ("IPVS_DEST_ATTR_ACTIVE_CONNS", "uint32"),
        ("IPVS_DEST_ATTR_INACT_CONNS", "uint32"),
        ("IPVS_DEST_ATTR_PERSIST_CONNS", "uint32"),
        ("IPVS_DEST_ATTR_STATS", "none"),
        ("IPVS_DEST_ATTR_ADDR_FAMILY", "uint16"),
        ("IPVS_DEST_ATTR_STATS64", "stats64"),
    )
    stats64 = _Stats


class _Daemon(nla):  # type: ignore[misc]
    prefix = "IPVS_DAEMON_ATTR_"
    nla_map = (
        ("IPVS_DAEMON_ATTR_UNSPEC", "none"),
        ("IPVS_DAEMON_ATTR_STATE", "uint32"),
    )


class _Message(genlmsg):  # type: ignore[misc]
    prefix = "IPVS_CMD_ATTR_"
    nla_map = (
        ("IPVS_CMD_ATTR_UNSPEC", "none"),
        ("IPVS_CMD_ATTR_SERVICE", "service"),
        ("IPVS_CMD_ATTR_DEST", "dest"),
        ("IPVS_CMD_ATTR_DAEMON", "daemon"),
        ("IPVS_CMD_ATTR_TIMEOUT_TCP", "uint32"),
        ("IPVS_CMD_ATTR_TIMEOUT_TCP_FIN", "uint32"),
        ("IPVS_CMD_ATTR_TIMEOUT_UDP", "uint32"),
    )
    service, dest, daemon = _Service, _Dest, _Daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesWithCounters:
    """Services with their real servers, and these' counters."""

    table: ServiceTable
    counters: Mapping[ServerKey, Counters]


class Netlink:
    """A socket to this kernel's IPVS, in the network namespace that it was opened in."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            NetlinkRefused: there is no IPVS, or we may not ask it (CAP_NET_ADMIN).
        """
        self._socket = GenericNetlinkSocket()
        try:
            self._socket.bind(_FAMILY, _Message)
            self.timeouts()
        except (NetlinkError, OSError) as error:
            self.close()
            raise NetlinkRefused(_why(error)) from error
        except NetlinkRefused:
            self.close()
            raise

    def close(self) -> None:
        """Close it; no harm if it has been already."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def services(self) -> ServicesWithCounters:
        """Every service, its real servers and their counters.

        Raises:
            NetlinkRefused: the kernel does not answer.
        """
        services: list[Service] = []
        counters: dict[ServerKey, Counters] = {}
        for message in self._ask(_GET_SERVICE, dump=True):
            attributes = message.get("service")
            service = self._service(attributes)
            services.append(service[0])
            counters |= service[1]
        table = ServiceTable(conn_tab_size=None, services=tuple(services), warnings=())
        return ServicesWithCounters(table=table, counters=counters)

    def timeouts(self) -> Timeouts:
        """The three timeouts that ``ipvsadm --set`` changes.

        Raises:
            NetlinkRefused: the kernel does not answer.
        """
        (message,) = self._ask(_GET_CONFIG)
        names = ("timeout_tcp", "timeout_tcp_fin", "timeout_udp")
        tcp_s, tcpfin_s, udp_s = (float(message.get(name)) for name in names)
        return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set the three; 0 leaves one as it is (``ip_vs_set_timeout``).

        Raises:
            NetlinkRefused: the kernel does not let us.
        """
        three = (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)
        attributes = [
            (f"IPVS_CMD_ATTR_TIMEOUT_{name}", round(value_s))
            for name, value_s in zip(("TCP", "TCP_FIN", "UDP"), three, strict=True)
        ]
        for _ in self._ask(_SET_CONFIG, attributes, flags=NLM_F_REQUEST | NLM_F_ACK):
            pass

    def sync_daemon(self) -> str:
        """The roles of the sync daemons that run, as ``DirectorSettings.sync_daemon``."""
        daemons = [message.get("daemon") for message in self._ask(_GET_DAEMON, dump=True)]
        return "+".join(_DAEMONS[daemon.get("state")] for daemon in daemons) or "none"

    def _service(self, fields: Any) -> tuple[Service, dict[ServerKey, Counters]]:
        key = [("IPVS_SVC_ATTR_AF", fields.get("af"))]
        fwmark = fields.get("fwmark")
        if fwmark is not None:
            key.append(("IPVS_SVC_ATTR_FWMARK", fwmark))
        else:
            names = ("PROTOCOL", "ADDR", "PORT")
            key += [(f"IPVS_SVC_ATTR_{name}", fields.get(name.lower())) for name in names]
        request = [("IPVS_CMD_ATTR_SERVICE", {"attrs": key})]
        servers = [m.get("dest") for m in self._ask(_GET_DEST, request, dump=True)]
        service = Service(
            protocol="FWM" if fwmark is not None else _protocol(fields.get("protocol")),
            address=None if fwmark is not None else _address(fields.get("addr"), fields.get("af")),
            port=None if fwmark is not None else fields.get("port"),
            fwmark=fwmark,
            scheduler=str(fields.get("sched_name")),
            destinations=tuple(_destination(server, fields.get("af")) for server in servers),
        )
        pairs = zip(service.destinations, servers, strict=True)
        return service, {
            server_key(service, known): counters
            for known, server in pairs
            if (counters := _counters(server.get("stats64"))) is not None
        }

    def _ask(
        self,
        command: int,
        attributes: list[tuple[str, Any]] | None = None,
        *,
        dump: bool = False,
        flags: int = NLM_F_REQUEST,
    ) -> Iterator[Any]:
        message = _Message()
        message["cmd"], message["version"] = command, _VERSION
        message["attrs"] = attributes or []
        all_flags = flags | (NLM_F_DUMP if dump else 0)
        try:
            yield from self._socket.nlm_request(message, self._socket.prid, msg_flags=all_flags)
        except (NetlinkError, OSError) as error:
            raise NetlinkRefused(_why(error)) from error


def _destination(server: Any, service_family: int) -> Destination:
    family = server.get("addr_family") or service_family
    method = server.get("fwd_method") & _FORWARDING_BITS
    return Destination(
        address=_address(server.get("addr"), family),
        port=server.get("port"),
        forwarding=_FORWARDING.get(method, str(method)),
        weight=server.get("weight"),
        active=server.get("active_conns"),
        inactive=server.get("inact_conns"),
    )


def _counters(stats: Any) -> Counters | None:
    """None where there are none, or one that no kernel can have counted."""
    if stats is None:
        return None
    names = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
    counters = Counters(*(int(stats.get(name)) for name in names))
    return counters if max(counters) <= MAX_COUNTER else None


def _protocol(number: int) -> str:
    return _PROTOCOLS.get(number, str(number))


def _address(raw: bytes, family: int) -> str:
    """A ``union nf_inet_addr``: 16 bytes, of which IPv4 takes the first four."""
    return str(ip_address(raw[:4] if family == socket.AF_INET else raw[:16]))


def _why(error: Exception) -> str:
    code = getattr(error, "code", None) or getattr(error, "errno", None)
    if code == errno.EPERM:
        return "IPVS by netlink: not allowed; it takes CAP_NET_ADMIN"
    return f"IPVS by netlink: {error}"
