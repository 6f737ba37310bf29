"""The client's own sockets, counted by state: sock_diag(7), filtered in the kernel.

A burst leaves tens of thousands of sockets in TIME_WAIT. The kernel is given the virtual services
as a filter (inet_diag's byte code, net/ipv4/inet_diag.c), so that nothing else is copied out. It
tries one service after another for each socket, and its jumps are 16 bits wide: of many services
all sockets are taken, and chosen here.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from analyzer.client.socket_states import SOCKET_STATES
from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadgen.target import Target

    Peers = frozenset[bytes]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3  # nlmsg_type
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_REQUEST = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, ext, states, id
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE
_OPERATION = struct.Struct("=BBH")  # inet_diag_bc_op: code, yes, no
_CONDITION = struct.Struct("=BBxxi")  # inet_diag_hostcond: family, prefix length, port
_JUMP, _PEER_IS = 1, 8  # INET_DIAG_BC_JMP, INET_DIAG_BC_D_COND
_STATES = sum(1 << number for number in SOCKET_STATES)
_PEER_PORT, _PEER = 6, slice(24, 40)  # idiag_dport, idiag_dst in an inet_diag_msg
_BUFFER_BYTES = 1 << 18
MOST_FILTERED = 500
"""Services of one family that the kernel looks for; more cost it more than copying sockets out."""


class SocketsRefused(LoadgenError):
    """This kernel does not tell its sockets; the run goes on without."""


class SockDiag:
    """Counts this network namespace's TCP sockets whose peer is one of some services.

    Args:
        services: addresses and ports; those of other protocols are left out.

    Raises:
        SocketsRefused: the kernel has no sock_diag.
    """

    def __init__(self, services: Sequence[Target]) -> None:
        ends = [
            (ip_address(service.vip), service.port)
            for service in services
            if service.protocol == "TCP"
        ]
        families = {4: socket.AF_INET, 6: socket.AF_INET6}
        self._queries = [
            _query(family, [(end.packed, port) for end, port in ends if end.version == version])
            for version, family in families.items()
            if any(end.version == version for end, _ in ends)
        ]
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise SocketsRefused(f"no sock_diag: {error.strerror}") from error
        self._socket.settimeout(2.0)

    def count(self) -> dict[str, int]:
        """How many sockets are in each state now.

        Raises:
            SocketsRefused: the kernel did not answer, or not with what it should.
        """
        counts: Counter[int] = Counter()
        try:
            for query in self._queries:
                self._socket.send(query.request)
                counts.update(self._states(query.peers))
        except OSError as error:
            raise SocketsRefused(f"sock_diag: {error.strerror or error}") from error
        by_name: Counter[str] = Counter()
        for number, count in counts.items():
            if number in SOCKET_STATES:
                by_name[SOCKET_STATES[number]] += count
        return dict(by_name)

    def close(self) -> None:
        """Give the netlink socket back."""
        self._socket.close()

    def _states(self, peers: Peers | None) -> Iterator[int]:
        while True:
            states, ended = states_in(self._socket.recv(_BUFFER_BYTES), peers)
            yield from states
            if ended:
                return


@dataclass(frozen=True, slots=True)
class _Query:
    """A dump to ask for; ``peers``: those to choose from it, None where the kernel does."""

    request: bytes
    peers: Peers | None


def _query(family: int, peers: Sequence[tuple[bytes, int]]) -> _Query:
    if len(peers) <= MOST_FILTERED:
        return _Query(request(family, peers), None)
    chosen = frozenset(port.to_bytes(2, "big") + packed.ljust(16, b"\0") for packed, port in peers)
    return _Query(request(family, []), chosen)


def states_in(content: bytes, peers: Peers | None = None) -> tuple[list[int], bool]:
    """The states in one datagram of a dump, and whether the dump ends with it.

    Args:
        content: the datagram.
        peers: those whose sockets are taken, each its port and 16 bytes of address as they lie in
            the message; None for all.

    Raises:
        OSError: the kernel refused, or the datagram is none of a dump.
    """
    states: list[int] = []
    at = 0
    while at + _HEADER.size <= len(content):
        length, kind, *_ = _HEADER.unpack_from(content, at)
        if kind == _DONE:
            return states, True
        if kind == _ERROR or not _HEADER.size + 2 <= length <= len(content) - at:
            raise _refusal(content, at)
        body = content[at + _HEADER.size : at + length]
        if peers is None or body[_PEER_PORT : _PEER_PORT + 2] + body[_PEER] in peers:
            states.append(body[1])  # idiag_state
        at += (length + 3) & ~3
    return states, False


def _refusal(content: bytes, at: int) -> OSError:
    end = at + _HEADER.size + 4
    number = -int.from_bytes(content[end - 4 : end], "little", signed=True)
    number = number if number in errno.errorcode else errno.EBADMSG
    return OSError(number, os.strerror(number))


def request(family: int, peers: Sequence[tuple[bytes, int]]) -> bytes:
    """A dump of the sockets whose peer is one of some addresses and ports; without any, of all."""
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _STATES)
    if peers:
        code = bytecode(family, peers)
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(code), _BYTECODE) + code
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body


def bytecode(family: int, peers: Sequence[tuple[bytes, int]]) -> bytes:
    """inet_diag's filter: this peer, or this one, and so on.

    It accepts by running to its very end, and refuses by a jump of 4 bytes beyond.
    """
    code = b""
    for packed, port in reversed(peers):
        condition = _CONDITION.pack(family, len(packed) * 8, port) + packed
        length = _OPERATION.size + len(condition)
        jump = _OPERATION.pack(_JUMP, _OPERATION.size, len(code) + _OPERATION.size) if code else b""
        code = _OPERATION.pack(_PEER_IS, length, length + 4) + condition + jump + code
    return code
