"""How a connection is brought to its end, one function for each way, on a socket of the kernel's.

The http engine and the sockets engine share them. ``server`` has none of its own: one asks the
server to close (``Connection: close``), waits for its FIN, and closes as ``client`` does.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from analyzer.forecast.closings import CLOSES, CLOSINGS
from loadgen.errors import UsageProblem
from loadgen.load.engines.rows import CLOSERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analyzer.forecast.closings import Close
    from loadgen.load.plan import LoadPlan

_LINGER_0 = struct.pack("ii", 1, 0)
_TCP_REPAIR = 19  # linux/tcp.h
_TCP_INFO = struct.Struct("8B24I")  # linux/tcp.h, struct tcp_info up to tcpi_total_retrans
_STATE = 0
_RTT = 8 + 15
_TOTAL_RETRANS = 8 + 23

STAYS_OPEN: frozenset[Close] = frozenset(kind for kind, way in CLOSINGS.items() if way.stays_open)
"""Whose sockets are kept until the run ends, or the server has closed too."""

_BY_STATE = {7: "reset", 8: "server"}  # TCP_CLOSE, TCP_CLOSE_WAIT

CLOSE_NUMBER: Mapping[Close, int] = {kind: number for number, kind in enumerate(CLOSES)}
CLOSER_NUMBER = {name: number for number, name in enumerate(CLOSERS)}

FIRST_TO_CLOSE: Mapping[Close, int] = {
    kind: CLOSER_NUMBER[way.closer] for kind, way in CLOSINGS.items()
}
"""Who closes first when all goes as planned, as its place in ``CLOSERS``."""


def end_by_fin(sock: socket.socket) -> None:
    """Our FIN goes out, unless something unread lies in the socket."""
    sock.close()


def end_by_reset(sock: socket.socket) -> None:
    """SO_LINGER with a time of 0 makes the kernel send RST (socket(7))."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
    sock.close()


def end_by_half(sock: socket.socket) -> None:
    """Our FIN goes out, and we go on listening."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


def leave_open(sock: socket.socket) -> None:
    """Nothing goes out."""


def end_silently(sock: socket.socket) -> None:
    """Gone without a packet: a socket under repair is dropped as it is (net/ipv4/tcp.c, tcp_close).

    What the server sends later is answered with RST, since the kernel knows the port no more.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    sock.close()


END: Mapping[Close, Callable[[socket.socket], None]] = {
    "client": end_by_fin,
    "server": end_by_fin,
    "reset": end_by_reset,
    "half": end_by_half,
    "never": leave_open,
    "abandon": end_silently,
}


def check_repair(plan: LoadPlan) -> None:
    """See that this kernel lets us leave a connection without a packet.

    Raises:
        UsageProblem: it does not.
    """
    if plan.engine != "sockets" or "abandon" not in plan.closing.kinds:
        return
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        except OSError as error:
            raise UsageProblem(
                f"--engine sockets cannot do --close abandon here: TCP_REPAIR: {error.strerror} "
                "(needs root or CAP_NET_ADMIN); --engine packets can"
            ) from error


def server_has_closed(sock: socket.socket) -> bool:
    """Whether the server's FIN is here already."""
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return False


def is_quiet(sock: socket.socket) -> bool:
    """Whether nothing has come that is still to be read: no bytes, no FIN, no RST."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def closer_so_far(sock: socket.socket) -> str:
    """Who has closed first, of a connection that we have not closed yet; we, if nobody has."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    return _BY_STATE.get(_TCP_INFO.unpack(raw)[_STATE], "client")


def tcp_info(sock: socket.socket) -> tuple[int, int]:
    """Segments sent again, and the smoothed round trip in microseconds."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    values = _TCP_INFO.unpack(raw)
    return values[_TOTAL_RETRANS], values[_RTT]
