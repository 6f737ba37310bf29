"""The client's own sockets, counted by the kernel that holds them."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import ExitStack, closing
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sockets.sock_diag import MOST_FILTERED, SockDiag, bytecode, states_in
from loadgen.target import Target

OURS = f"127.{os.getpid() % 250 + 1}.7.7"  # an address that no other test has sockets at
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


@pytest.mark.parametrize("host", [OURS, "::1"], ids=["ipv4", "ipv6"])
def test_the_kernel_counts_connections_to_a_service_by_state(host: str) -> None:
    family = FAMILY[ip_address(host).version]
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((host, 0), family=family))
        port = server.getsockname()[1]
        diag = stack.enter_context(closing(SockDiag([Target(vip=host, port=port)])))
        assert diag.count() == {}
        clients = [stack.enter_context(socket.create_connection((host, port))) for _ in range(3)]
        ours = [stack.enter_context(server.accept()[0]) for _ in clients]
        assert diag.count() == {"ESTABLISHED": 3}
        ours[0].close()
        clients[0].recv(1)
        assert diag.count() == {"ESTABLISHED": 2, "CLOSE_WAIT": 1}


def test_the_side_that_closes_first_waits_in_time_wait() -> None:
    with socket.create_server((OURS, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((OURS, port))
        accepted = server.accept()[0]
        client.shutdown(socket.SHUT_WR)
        accepted.recv(1)
        accepted.close()
        client.recv(1)
        client.close()
        with closing(SockDiag([Target(vip=OURS, port=port)])) as diag:
            assert diag.count() == {"TIME_WAIT": 1}


def test_only_the_services_asked_for_are_counted() -> None:
    with ExitStack() as stack:
        ends = []
        for _ in range(3):
            server = stack.enter_context(socket.create_server((OURS, 0)))
            ends.append(server.getsockname())
            stack.enter_context(socket.create_connection(ends[-1]))
            stack.enter_context(server.accept()[0])
        elsewhere = Target(vip="127.0.0.9", port=ends[0][1])
        for chosen in ([0], [1, 2], [2, 0], [0, 1, 2]):
            services = [elsewhere, *(Target(vip=ends[i][0], port=ends[i][1]) for i in chosen)]
            with closing(SockDiag(services)) as diag:
                assert diag.count() == {"ESTABLISHED": len(chosen)}
        with closing(SockDiag([elsewhere])) as diag:
            assert diag.count() == {}


def test_no_service_of_tcp_is_no_socket() -> None:
    with closing(SockDiag([Target(vip="127.0.0.1", port=53, protocol="UDP")])) as diag:
        assert diag.count() == {}


@given(
    peers=st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 65535)), min_size=1),
    asked=st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 65535)),
)
def test_the_filter_accepts_its_peers_and_no_other(
    peers: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    packed = [(address.to_bytes(4, "big"), port) for address, port in peers]
    code = bytecode(socket.AF_INET, packed)
    for peer in [*packed, (asked[0].to_bytes(4, "big"), asked[1])]:
        assert run_as_the_kernel_does(code, peer) is (peer in packed)


def run_as_the_kernel_does(code: bytes, peer: tuple[bytes, int]) -> bool:
    """inet_diag_bc_run of net/ipv4/inet_diag.c, for the two operations in use."""
    at, left = 0, len(code)
    while left > 0:
        operation, yes, no = struct.unpack_from("=BBH", code, at)
        match = False
        if operation == 8:
            _, prefix, port = struct.unpack_from("=BBxxi", code, at + 4)
            match = (code[at + 12 : at + 12 + prefix // 8], port) == peer
        step = yes if match else no
        assert step >= 4
        at, left = at + step, left - step
    return left == 0


@given(st.binary(max_size=200))
def test_no_datagram_breaks_the_reading_but_by_an_oserror(content: bytes) -> None:
    try:
        states, _ = states_in(content)
    except OSError:
        return
    assert len(states) <= len(content) // 16


def test_a_refusal_is_known_by_its_number() -> None:
    refused = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -1) + bytes(16)
    with pytest.raises(PermissionError):
        states_in(refused)


@pytest.mark.parametrize(
    ("host", "elsewhere"),
    [(OURS, "10.{}.{}.1"), ("::1", "fd00::{:x}:{:x}")],
    ids=["ipv4", "ipv6"],  # our address differs from process to process
)
def test_any_number_of_services_can_be_asked_for(host: str, elsewhere: str) -> None:
    """The jumps of the kernel's filter end at 3,277 services of IPv4 and 2,048 of IPv6."""
    family = FAMILY[ip_address(host).version]
    others = [Target(vip=elsewhere.format(i // 250, i % 250), port=80) for i in range(10_000)]
    with ExitStack() as stack:
        ends = []
        for _ in range(2):
            server = stack.enter_context(socket.create_server((host, 0), family=family))
            ends.append(server.getsockname())
            stack.enter_context(socket.create_connection(ends[-1][:2]))
            stack.enter_context(server.accept()[0])
        for count in (MOST_FILTERED - 1, MOST_FILTERED, 3_278, 10_000):
            services = [*others[:count], Target(vip=host, port=ends[0][1])]
            with closing(SockDiag(services)) as diag:
                assert diag.count() == {"ESTABLISHED": 1}
