"""Sockets that listen in the namespace where the command began."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from analyzer.ipvs.addresses import host_port
from loadgen.errors import UsageProblem
from loadgen.session import listening
from loadgen.session.listening import HANDED, listen


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageProblem, match=f"--live 127.0.0.1:{port}: "):
            listen("--live", "127.0.0.1", port)


@pytest.mark.parametrize(
    ("address", "port", "text"), [("127.0.0.1", 80, "127.0.0.1:80"), ("::1", 80, "[::1]:80")]
)
def test_an_address_stands_in_a_url_as_it_must(address: str, port: int, text: str) -> None:
    assert host_port(address, port) == text


def test_an_ordinary_users_socket_is_handed_over_to_what_the_command_becomes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv(HANDED, "")
    with listen("--live", "127.0.0.1", 0) as made:
        program = (
            "from loadgen.session.listening import listen\n"
            "print(listen('--live', '127.0.0.1', 0).getsockname()[1])"
        )
        became = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[made.fileno()],
        )
        assert int(became.stdout) == made.getsockname()[1]


@pytest.mark.parametrize("handed", ["--live=0", "--live=99999", "--live=x", "--live", "=", "=" * 9])
def test_what_is_no_listening_socket_is_not_taken(
    handed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(listening.HANDED, handed)
    with listen("--live", "127.0.0.1", 0) as made:
        assert made.getsockname()[1]
        assert made.fileno() not in (0, 99999)
