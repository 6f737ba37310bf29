"""Are the VIPs there? Asked from the client's namespace, as a client would."""

from __future__ import annotations

import errno
import http.client
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.lab.system import netns

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Host, Topology, Vip

CLOSED_PORT = 9  # discard; nothing in the lab listens there, so a host that is there refuses
SSH_PORT = 22
CONNECT_LIMIT_S = 0.2
ANSWER_LIMIT_S = 1.0
ARP_TABLE = Path("/proc/thread-self/net/arp")  # /proc/net is the main thread's, who stays outside


class Prober:
    """Short questions to a lab that is coming up; each takes at most ``CONNECT_LIMIT_S`` or so."""

    def __init__(self, topology: Topology, client_namespace: str) -> None:
        self.topology = topology
        self.namespace = client_namespace

    def missing(self) -> str | None:
        """What keeps the services from being up; None when every real server had its turn."""
        for vip in self.topology.vips:
            problem = self.holder_problem(vip)
            if problem:
                return problem
        first, *others = self.topology.vips
        for _server in self.topology.servers:
            problem = self.service_problem(first)
            if problem:
                return problem
        return next(filter(None, map(self.service_problem, others)), None)

    def holder_problem(self, vip: Vip) -> str | None:
        """Who should hold a VIP, and does not; nothing is sent to the service's own port."""
        master = self.topology.host(vip.first_master)
        if self.connect(vip.address, CLOSED_PORT) not in (0, errno.ECONNREFUSED):
            return f"no director answers for {vip.address}"
        holder = self.mac_of(vip.address)
        mac = vip.mac if self.topology.use_vmac else master.mac
        if holder != mac:
            return f"{vip.address} is with {holder}, not with {master.name} ({mac})"
        return None

    def service_problem(self, vip: Vip) -> str | None:
        """What is wrong with a VIP's services over all the protocols that it has; or None."""
        addresses = [vip.address, *([vip.address6] if self.topology.ipv6 else [])]
        for address in addresses:
            problem = self.http_problem(address) or self.udp_problem(address)
            if problem:
                return problem
        return None

    def reaches(self, host: Host) -> bool:
        """Whether the host's sshd listens: it goes into the background before it does."""
        return self.connect(host.address, SSH_PORT) == 0

    def connect(self, address: str, port: int) -> int:
        """Try a TCP connection; 0, or the error number."""
        with self.socket(address, socket.SOCK_STREAM, CONNECT_LIMIT_S) as client:
            return client.connect_ex((address, port))

    def mac_of(self, address: str) -> str | None:
        """The MAC that the client's ARP table has for an address (columns: proc(5), net/arp)."""
        for line in netns.within(self.namespace, ARP_TABLE.read_text).splitlines()[1:]:
            ip, _kind, _flags, mac, *_rest = line.split()
            if ip == address:
                return mac
        return None

    def http_problem(self, address: str) -> str | None:
        """One request by way of the VIP; what went wrong, or None. The client closes first."""
        port = self.topology.port
        connection = http.client.HTTPConnection(address, port)
        try:
            connection.sock = self.socket(address, socket.SOCK_STREAM, ANSWER_LIMIT_S)
            connection.sock.connect((address, port))
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            return f"HTTP by way of {address}: {error}"
        finally:
            connection.close()
        if response.status != http.client.OK:
            return f"HTTP by way of {address}: status {response.status}"
        return None

    def udp_problem(self, address: str) -> str | None:
        """One datagram to the echo by way of the VIP, where there is one."""
        if self.topology.udp_port is None:
            return None
        with self.socket(address, socket.SOCK_DGRAM, CONNECT_LIMIT_S) as client:
            try:
                client.connect((address, self.topology.udp_port))
                client.send(b"lab")
                answer = client.recv(16)
            except OSError as error:
                return f"UDP by way of {address}: {error}"
        return None if answer == b"lab" else f"UDP by way of {address}: {answer!r}"

    def socket(self, address: str, kind: socket.SocketKind, limit_s: float) -> socket.socket:
        """A socket in the client's namespace."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = netns.within(self.namespace, lambda: socket.socket(family, kind))
        made.settimeout(limit_s)
        return made
