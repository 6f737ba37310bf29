"""Two namespaces, a wire between them, nginx at one end and whoever is measured at the other.

The client's namespace has ports 1024 to 65535 and tcp_tw_reuse=1: who closes first keeps the port
in TIME_WAIT, and one round would starve the next.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER_IP, CLIENT_IP = "10.99.0.1", "10.99.0.2"
URL = f"http://{SERVER_IP}/"
REPOSITORY = Path(__file__).parents[2]

NGINX = """\
pid {0}/pid; error_log {0}/error.log; worker_processes 1; daemon off; user root root;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {0}/t; proxy_temp_path {0}/t; fastcgi_temp_path {0}/t;
  uwsgi_temp_path {0}/t; scgi_temp_path {0}/t;
  server {{ listen {1}:80 backlog=4096; location / {{ return 200 "hello\\n"; }} }}
}}
"""


@dataclass(frozen=True)
class Stand:
    """The namespace that a client sends from."""

    client: str

    def argv(self, *argv: str) -> list[str]:
        """A command, to be run in the client's namespace."""
        return ["ip", "netns", "exec", self.client, *argv]

    def run(self, *argv: str) -> str:
        """A command in the client's namespace; what it printed."""
        done = subprocess.run(
            self.argv(*argv),
            capture_output=True,
            text=True,
            check=True,
            cwd=REPOSITORY,
            timeout=120,
        )
        return done.stdout


@contextmanager
def director_settings(folder: Path) -> Iterator[Stand]:
    """The wire and the server; gone afterwards, also when a test was cut short."""
    server, client = f"lgs{os.getpid()}", f"lgc{os.getpid()}"
    (folder / "nginx.conf").write_text(NGINX.format(folder, SERVER_IP))
    nginx = None
    try:
        for words in _wiring(server, client):
            subprocess.run(shlex.split(words), check=True, capture_output=True)
        command = ["ip", "netns", "exec", server, "nginx", "-c", str(folder / "nginx.conf")]
        nginx = subprocess.Popen([*command, "-e", str(folder / "error.log")])
        made = Stand(client)
        _await(made)
        yield made
    finally:
        if nginx is not None:
            nginx.terminate()
            nginx.wait()
        for name in (server, client):
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


def _wiring(server: str, client: str) -> list[str]:
    inside = f"ip netns exec {client}"
    return [
        f"ip netns add {server}",
        f"ip netns add {client}",
        f"ip -n {server} link add up0 type veth peer name up0 netns {client}",
        f"ip -n {server} address add {SERVER_IP}/24 dev up0",
        f"ip -n {client} address add {CLIENT_IP}/24 dev up0",
        *(
            f"ip -n {name} link set {link} up"
            for name in (server, client)
            for link in ("lo", "up0")
        ),
        f"{inside} sysctl -qw 'net.ipv4.ip_local_port_range=1024 65535'",
        f"{inside} sysctl -qw net.ipv4.tcp_tw_reuse=1",
    ]


def _await(stand: Stand) -> None:
    for _ in range(100):
        with suppress(subprocess.CalledProcessError):
            stand.run("curl", "-s", "-o", "/dev/null", URL)
            return
        time.sleep(0.05)
    pytest.fail("nginx does not answer")
