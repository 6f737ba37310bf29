"""Opening a socket of the kernel's, for the engines that send through one."""

from __future__ import annotations

import select
import socket
from contextlib import suppress

_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7)

ALL_EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
"""All that can happen to a connection, each when it happens; the first writable edge is the end of
its handshake."""


def family_of(address: str) -> socket.AddressFamily:
    """An address's."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bind(sock: socket.socket, source: str) -> None:
    """To an address alone: the port is chosen when it is known where we connect to.

    Raises:
        OSError: it is not one of ours.
    """
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
