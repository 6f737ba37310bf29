"""Is the VIP there? Asked from the client's namespace, as a client would.

The order matters: nothing is sent to the service's own port before its director is known to be
the right one, since a SYN that waits for an ARP answer would leave an entry there later.
"""

from __future__ import annotations

import errno
import http.client
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.lab import netns

if TYPE_CHECKING:
    from loadgen.lab.topology import Host, Topology

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
        """What keeps the service from being up; None when every real server has answered."""
        vip, master = self.topology.vip, self.topology.first_master
        if self.connect(vip, CLOSED_PORT) not in (0, errno.ECONNREFUSED):
            return f"no director answers for {vip}"
        holder = self.mac_of(vip)
        if holder != master.mac:
            return f"{vip} is with {holder}, not with {master.name} ({master.mac})"
        return self.http_problem()

    def reaches(self, host: Host) -> bool:
        """Whether the host's sshd listens: it goes into the background before it does."""
        return self.connect(host.address, SSH_PORT) == 0

    def connect(self, address: str, port: int) -> int:
        """Try a TCP connection; 0, or the error number."""
        with self.socket(CONNECT_LIMIT_S) as client:
            return client.connect_ex((address, port))

    def mac_of(self, address: str) -> str | None:
        """The MAC that the client's ARP table has for an address (columns: proc(5), net/arp)."""
        for line in netns.within(self.namespace, ARP_TABLE.read_text).splitlines()[1:]:
            ip, _kind, _flags, mac, *_rest = line.split()
            if ip == address:
                return mac
        return None

    def http_problem(self) -> str | None:
        """One request per real server by way of the VIP; what went wrong, or None.

        The client closes first, as curl does.
        """
        vip, port = self.topology.vip, self.topology.port
        for _server in self.topology.servers:
            connection = http.client.HTTPConnection(vip, port)
            try:
                connection.sock = self.socket(ANSWER_LIMIT_S)
                connection.sock.connect((vip, port))
                connection.request("GET", "/")
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                return f"HTTP by way of {vip}: {error}"
            finally:
                connection.close()
            if response.status != http.client.OK:
                return f"HTTP by way of {vip}: status {response.status}"
        return None

    def socket(self, limit_s: float) -> socket.socket:
        """A TCP socket that lives in the client's namespace."""
        made = netns.within(self.namespace, lambda: socket.socket(socket.AF_INET))
        made.settimeout(limit_s)
        return made
