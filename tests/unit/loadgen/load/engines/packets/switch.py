"""A switch that loses frames: ``python switch.py c0 s0 0.2`` in a namespace, while its input lasts.

It is a program of its own, for in a thread of the engine's process each would wait for the other.
"""

from __future__ import annotations

import random
import select
import socket
import sys
from contextlib import suppress

ETH_P_ALL, SO_RCVBUFFORCE, PACKET_OUTGOING = 3, 33, 4


def port(name: str) -> socket.socket:
    """A link's frames, as they come."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    made.bind((name, ETH_P_ALL))
    return made


def main(one: str, other: str, loss: str) -> None:
    """Forward between two links what chance does not drop."""
    ports = [port(one), port(other)]
    lost, chance = float(loss), random.Random(loss)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        readable = select.select([*ports, sys.stdin], (), ())[0]
        if sys.stdin in readable:
            return
        for came in (each for each in ports if each in readable):
            frame, (_, _, kind, _, _) = came.recvfrom(70000)
            if kind != PACKET_OUTGOING and chance.random() >= lost:
                with suppress(OSError):
                    ports[came is ports[0]].send(frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
