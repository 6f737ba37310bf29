"""Neighbours on the wire: answers for the addresses of our pool, and finds the next hop.

Nobody answers for the pool when this socket is closed: there is nothing to be taken back.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from loadgen.load.engines.packets.wire.arp import Arp
from loadgen.load.engines.packets.wire.ndp import Ndp, solicited_node
from loadgen.load.engines.packets.wire.versions import version_of
from loadgen.rings.packet_socket import SOL_PACKET, attach_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadgen.load.engines.packets.wire.language import Language, NeighbourMessage

_PACKET_ADD_MEMBERSHIP, _PACKET_MR_ALLMULTI = 1, 2  # packet(7)
_MOST_AT_ONCE = 512
_MOST_BYTES = 256
_AGAIN_S = 0.5


class Neighbours:
    """Speaks on one interface for a pool of addresses.

    Args:
        interface: in the network namespace of the caller.
        mac: that all addresses of the pool have.
        pool: addresses of one version of IP.

    Raises:
        OSError: no privilege, or no such interface.
    """

    def __init__(self, interface: str, mac: bytes, pool: Sequence[str]) -> None:
        self._mac = mac
        self._packed = version_of(pool[0]).packed
        self._pool = {self._packed(address): address for address in pool}
        self._language: Language = Ndp(mac) if version_of(pool[0]).number == 6 else Arp(mac)
        self._awaited = b""
        self._groups: socket.socket | None = None
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            if self._language.program:
                attach_filter(self.socket, self._language.program)
                _hear_all_groups(self.socket, interface)
                self._groups = _joined(interface, self._pool)
            self.socket.bind((interface, self._language.ethertype))
            self.socket.setblocking(False)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Say nothing any more."""
        self.socket.close()
        if self._groups is not None:
            self._groups.close()

    def resolve(self, address: str, limit_s: float) -> bytes | None:
        """An address's MAC; None if nobody answers in time. ``receive`` gives its later ones."""
        self._awaited = self._packed(address)
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            self.ask()
            again_s = min(end_s, time.monotonic() + _AGAIN_S)
            while (left_s := again_s - time.monotonic()) > 0:
                if (mac := self.receive(left_s)) is not None:
                    return mac
        return None

    def ask(self) -> None:
        """Ask who has the address that was to be resolved."""
        self._send(self._language.question(next(iter(self._pool)), self._awaited))

    def probe(self, wait_s: float) -> str | None:
        """An address of the pool that somebody else has; None if nobody says so."""
        for address in self._pool:
            self._send(self._language.question(None, address))
        end_s = time.monotonic() + wait_s
        while (left_s := end_s - time.monotonic()) > 0:
            select.select([self.socket], (), (), left_s)
            for heard in self._heard():
                if heard.sender in self._pool:
                    return self._pool[heard.sender]
        return None

    def receive(self, wait_s: float = 0) -> bytes | None:
        """Answer pending queries; the MAC of the resolved address, if an answer has come."""
        if wait_s > 0:
            select.select([self.socket], (), (), wait_s)
        mac = None
        for heard in self._heard():
            if heard.sender == self._awaited:
                mac = heard.mac
            if heard.asks and heard.target in self._pool:
                self._send(self._language.answer(heard))
        return mac

    def _heard(self) -> Iterator[NeighbourMessage]:
        """What has come, but for our own words."""
        for _ in range(_MOST_AT_ONCE):
            try:
                frame = self.socket.recv(_MOST_BYTES)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENETDOWN):
                    return
                raise
            heard = self._language.heard(frame)
            if heard is not None and heard.mac != self._mac:
                yield heard

    def _send(self, frame: bytes) -> None:
        try:
            self.socket.send(frame)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.ENETDOWN):
                raise


def _hear_all_groups(sock: socket.socket, interface: str) -> None:
    """Those too that a network card would leave out: questions go to groups of IPv6 addresses."""
    index = socket.if_nametoindex(interface)
    request = struct.pack("iHH8x", index, _PACKET_MR_ALLMULTI, 0)
    sock.setsockopt(SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)


def _joined(interface: str, pool: Iterable[bytes]) -> socket.socket:
    """A socket by which the kernel reports, to switches that snoop MLD, whom questions are for.

    It reports as many groups as one socket may join (net.core.optmem_max).
    """
    joined = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    index = struct.pack("@I", socket.if_nametoindex(interface))
    with suppress(OSError):
        for group in {solicited_node(address) for address in pool}:
            joined.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + index)
    return joined
