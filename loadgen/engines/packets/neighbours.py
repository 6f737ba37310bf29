"""ARP of our own (RFC 826): answers for the addresses of our pool, and finds the next hop.

Nobody answers for the pool when this socket is closed: there is nothing to be taken back.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ETH_P_ARP = 0x0806
_ARP = struct.Struct("!6s6sH HHBBH 6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_EVERYBODY = b"\xff" * 6
_NOBODY = bytes(6)
_MOST_AT_ONCE = 512
_AGAIN_S = 0.5


class Neighbours:
    """Speaks ARP on one interface for a pool of addresses.

    Args:
        interface: in the network namespace of the caller.
        mac: that all addresses of the pool have.
        pool: IPv4 addresses.

    Raises:
        OSError: no privilege, or no such interface.
    """

    def __init__(self, interface: str, mac: bytes, pool: Sequence[str]) -> None:
        self._mac = mac
        self._pool = {socket.inet_aton(address): address for address in pool}
        self._awaited = b""
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self.socket.bind((interface, _ETH_P_ARP))
            self.socket.setblocking(False)
        except OSError:
            self.socket.close()
            raise

    def close(self) -> None:
        """Say nothing any more."""
        self.socket.close()

    def resolve(self, address: str, limit_s: float) -> bytes | None:
        """An address's MAC; None if nobody answers in time. ``look`` gives its later ones."""
        self._awaited = socket.inet_aton(address)
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            self.ask()
            again_s = min(end_s, time.monotonic() + _AGAIN_S)
            while (left_s := again_s - time.monotonic()) > 0:
                if (mac := self.look(left_s)) is not None:
                    return mac
        return None

    def ask(self) -> None:
        """Ask everybody who has the address that was to be resolved."""
        self._send(_EVERYBODY, _REQUEST, next(iter(self._pool)), _NOBODY, self._awaited)

    def probe(self, wait_s: float) -> str | None:
        """An address of the pool that somebody else has; None if nobody says so (RFC 5227)."""
        for address in self._pool:
            self._send(_EVERYBODY, _REQUEST, bytes(4), _NOBODY, address)
        end_s = time.monotonic() + wait_s
        while (left_s := end_s - time.monotonic()) > 0:
            select.select([self.socket], (), (), left_s)
            for _, sender, _, _ in self._heard():
                if sender in self._pool:
                    return self._pool[sender]
        return None

    def look(self, wait_s: float = 0) -> bytes | None:
        """Answer what was asked; the MAC of the resolved address, if somebody has told it."""
        if wait_s > 0:
            select.select([self.socket], (), (), wait_s)
        told = None
        for kind, sender, mac, target in self._heard():
            if sender == self._awaited:
                told = mac
            if kind == _REQUEST and target in self._pool:
                self._send(mac, _REPLY, target, mac, sender)
        return told

    def _heard(self) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        """What has come: kind, sender's address and MAC, target's address."""
        for _ in range(_MOST_AT_ONCE):
            try:
                frame = self.socket.recv(_ARP.size)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENETDOWN):
                    return
                raise
            if len(frame) < _ARP.size:
                continue
            _, _, _, _, kind_of_address, size, _, kind, mac, sender, _, target = _ARP.unpack(frame)
            if (kind_of_address, size) == (0x0800, 6) and mac != self._mac:
                yield kind, sender, mac, target

    def _send(self, to: bytes, kind: int, sender: bytes, mac: bytes, target: bytes) -> None:
        frame = _ARP.pack(
            *(to, self._mac, _ETH_P_ARP, 1, 0x0800, 6, 4, kind), *(self._mac, sender, mac, target)
        )
        try:
            self.socket.send(frame.ljust(60, b"\0"))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.ENETDOWN):
                raise
