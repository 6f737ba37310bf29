"""A fault that nobody ordered: caught when the master changes, or when nothing is answered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.load.engines.tally import Tally

VRRP = 112
GROUPS = {4: "224.0.0.18", 6: "ff02::12"}  # RFC 5798, section 5.1
SILENCE_S = 1.0
CHECK_EVERY_S = 0.1
_MOST_BYTES = 2048


class Catch(Background):
    """An activity that waits for a fail-over, and then for its time to be over.

    Attributes:
        over: set when it was caught, and its time is over.
    """

    def __init__(
        self, vip: str, interface: str | None, after_s: float, say: Callable[[str], None]
    ) -> None:
        self.over = asyncio.Event()
        self._caught = asyncio.Event()
        self._family = ip_address(vip).version
        self._interface = interface
        self._after_s = after_s
        self._say = say
        self._masters: dict[int, str] = {}
        self._listening: socket.socket | None = None
        self._succeeded, self._since_s = 0, time.monotonic()

    def follow(self, tally: Tally) -> None:
        """How the load fares: successes that cease are a fault."""
        if tally.ended - tally.failed > self._succeeded:
            self._succeeded, self._since_s = tally.ended - tally.failed, time.monotonic()

    async def done(self) -> None:
        """Return when it is over."""
        await self.over.wait()

    async def _begin(self) -> None:
        try:
            self._listening = _listener(self._family, self._interface)
        except OSError as error:
            self._say(f"VRRP is not heard ({error.strerror}): a fault is caught by the load alone")
            return
        asyncio.get_running_loop().add_reader(self._listening, self._hear)

    async def _run(self) -> None:
        self._say("waiting for a fail-over")
        while not self._caught.is_set():
            await asyncio.sleep(CHECK_EVERY_S)
            if self._succeeded and time.monotonic() - self._since_s > SILENCE_S:
                self._caught.set()
        self._say("caught one")
        await asyncio.sleep(self._after_s)
        self.over.set()

    async def _end(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()

    def _hear(self) -> None:
        assert self._listening is not None
        with contextlib.suppress(OSError):
            packet, sender = self._listening.recvfrom(_MOST_BYTES)
            header = (packet[0] & 0x0F) * 4 if self._family == 4 and packet else 0
            if len(packet) >= header + 3:
                self.advertised(packet[header + 1], packet[header + 2], str(sender[0]))

    def advertised(self, vrid: int, priority: int, sender: str) -> None:
        """A router advertised itself: another master, or a goodbye (priority 0), is a fault."""
        before = self._masters.setdefault(vrid, sender)
        if priority == 0 or sender != before:
            self._caught.set()


def _listener(family: int, interface: str | None) -> socket.socket:
    """A raw socket that receives advertisements on an interface; needs CAP_NET_RAW."""
    index = socket.if_nametoindex(interface) if interface else 0
    group = socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, GROUPS[family])
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    made = socket.socket(kind, socket.SOCK_RAW | socket.SOCK_NONBLOCK, VRRP)
    try:
        if family == 4:
            member = struct.pack("=4s4si", group, bytes(4), index)  # struct ip_mreqn, ip(7)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        else:
            member = struct.pack("=16sI", group, index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    except OSError:
        made.close()
        raise
    return made
