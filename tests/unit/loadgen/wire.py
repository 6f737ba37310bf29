"""A wire of our own: a nameless network namespace, that ends with the test, even a killed one.

In it ``va`` and ``vb`` are the two ends of a veth pair; nobody has an address there.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import threading
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest

from loadgen.lab.system.netns import CLONE_NEWNET
from loadgen.rings.slots import SendRing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadgen.rings.blocks import Ints, UInt8s

T = TypeVar("T")

ENDS = ("va", "vb")
LINKS = "link add name va type veth peer name vb\n" + "".join(
    f"link set {end} up\n" for end in (*ENDS, "lo")
)
MAC_HERE, MAC_THERE = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
VIP, CLIENT = "10.0.0.1", "10.0.0.2"
PORT = 80
LIMIT_S = 60.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="packet sockets need root")


def on_a_wire(body: Callable[[], T]) -> T:
    """What ``body`` returns, called by a thread in a fresh namespace.

    Sockets that it makes belong there for good, whichever thread uses them.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            no_ipv6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
            subprocess.run(["sh", "-c", f"echo 1 >{no_ipv6}"], check=False, stderr=-3)
            subprocess.run(["ip", "-batch", "-"], input=LINKS.encode(), check=True)
            results.append(body())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="on a wire")
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results[0]


def tcp(port: int, *, payload: int = 0, to: bytes = b"\xff" * 6) -> bytes:
    """A SYN to the VIP, without a checksum."""
    ends = bytes(map(int, (CLIENT + "." + VIP).split(".")))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + payload, 0, 0, 64, 6, 0) + ends
    segment = struct.pack("!HHIIBBHHH", port, PORT, 1, 0, 0x50, 2, 1000, 0, 0)
    return to + MAC_HERE + b"\x08\x00" + ip + segment + b"x" * payload


def arp() -> bytes:
    """A gratuitous ARP for the VIP."""
    vip = bytes(map(int, VIP.split(".")))
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + MAC_HERE + vip + b"\0" * 6 + vip
    return b"\xff" * 6 + MAC_HERE + b"\x08\x06" + body


def vrrp() -> bytes:
    """An advertisement, to the group that VRRP has (RFC 5798)."""
    ends = bytes((10, 0, 0, 3, 224, 0, 0, 18))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 255, 112, 0) + ends
    return b"\x01\x00\x5e\x00\x00\x12" + MAC_HERE + b"\x08\x00" + ip + b"\x21\x33\x64\x01\0\1\0\0"


def vrrp6() -> bytes:
    """An advertisement over IPv6."""
    ip = struct.pack("!IHBB", 6 << 28, 8, 112, 255) + b"\xfe\x80" + b"\0" * 14
    group = b"\xff\x02" + b"\0" * 13 + b"\x12"
    return b"\x33\x33\0\0\0\x12" + MAC_HERE + b"\x86\xdd" + ip + group + b"\x31\x33\x64\x01\0\1\0\0"


def rows(frames: list[bytes]) -> tuple[UInt8s, Ints]:
    """Frames as a ring takes them."""
    width = max(map(len, frames))
    content = b"".join(frame.ljust(width, b"\0") for frame in frames)
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, width), np.array(
        [len(frame) for frame in frames]
    )


def send(frames: list[bytes], interface: str = "va") -> None:
    """Put frames on the wire, by a ring."""
    ring = SendRing(interface, slot_bytes=2048, slots=512)
    content, length = rows(frames)
    sent = 0
    while sent < len(frames):
        sent += ring.send(content[sent:], length[sent:])
    ring.close()


def packets_of(path: Path) -> Iterator[tuple[int, bytes, int]]:
    """Instant, bytes and length of each packet of a nanosecond file, read without our reader."""
    content, offset = path.read_bytes(), 24
    while offset < len(content):
        seconds, ns, kept, length = struct.unpack_from("<IIII", content, offset)
        offset += 16
        yield seconds * 10**9 + ns, content[offset : offset + kept], length
        offset += kept
