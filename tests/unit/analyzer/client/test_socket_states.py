"""The count that a server's shell makes, and what is read of it."""

from __future__ import annotations

import socket
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.socket_states import SOCKET_STATES, count_script, parse_counts

TEXTS = st.text(alphabet="0123456789ABCDEFend \n", max_size=80)


def open_here(*ports: int) -> int:
    """Connections that are open; others may have left sockets in TIME_WAIT at the same port."""
    script = count_script(ports)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    counts = parse_counts(done.stdout)
    assert counts is not None
    return counts.get("ESTABLISHED", 0)


def test_a_shell_counts_the_sockets_at_a_local_port_and_leaves_listeners_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert open_here(port) == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert open_here(port) == 1
            assert open_here(1, port) == 1
            assert open_here(1) == 0


def test_ipv6_sockets_are_counted_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("::1", port)), server.accept()[0]:
            assert open_here(port) == 1


def test_a_host_that_cannot_count_is_distinguished_from_one_without_sockets() -> None:
    assert parse_counts("end\n") == {}
    assert parse_counts("") is None
    assert parse_counts("06 12\n") is None


def test_a_request_socket_counts_as_syn_recv() -> None:
    assert parse_counts("03 1\n0C 2\nend\n") == {"SYN_RECV": 3}


def test_states_that_are_no_connections_are_left_out() -> None:
    assert parse_counts("0A 3\n07 1\nFF 9\n06 2\nend\n") == {"TIME_WAIT": 2}


@given(st.dictionaries(st.sampled_from(sorted(SOCKET_STATES)), st.integers(0, 10**9 - 1)))
def test_every_count_is_read_back(counts: dict[int, int]) -> None:
    text = "".join(f"{number:02X} {count}\n" for number, count in counts.items()) + "end\n"
    read = parse_counts(text)
    assert read is not None
    assert sum(read.values()) == sum(counts.values())
    assert set(read) == {SOCKET_STATES[number] for number in counts}


@given(TEXTS)
def test_no_text_breaks_the_reading(text: str) -> None:
    read = parse_counts(text)
    assert read is None or set(read) <= set(SOCKET_STATES.values())
