"""A real server's UDP echo: each datagram goes back to its sender, from the address it came to.

A script that needs nothing but Python's own library: ``echo.py PORT ADDRESS...``. One socket for
each address, because a socket bound to all would answer from whatever address the kernel likes.
"""

from __future__ import annotations

import selectors
import socket
import sys

MAX_DATAGRAM = 65536


def serve(port: int, addresses: list[str]) -> None:
    """Echo for ever."""
    selector = selectors.DefaultSelector()
    listeners: dict[int, socket.socket] = {}
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_DGRAM)
        listener.bind((address, port))
        listeners[listener.fileno()] = listener
        selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            data, sender = listeners[key.fd].recvfrom(MAX_DATAGRAM)
            listeners[key.fd].sendto(data, sender)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2:])
