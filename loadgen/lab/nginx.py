"""A real server's nginx: one small answer for any path, all its files in the lab's directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.lab.topology import Host, Topology


def config(topology: Topology, server: Host) -> str:
    """nginx.conf; paths are relative to the prefix that ``start`` gives."""
    temporary = "".join(
        f"    {kind}_temp_path temporary;\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
pid nginx.pid;
error_log error.log;
worker_processes 1;
worker_rlimit_nofile 65536;
events {{
    worker_connections 32768;
}}
http {{
{temporary}    access_log off;
    default_type text/plain;
    server {{
        listen {topology.port} backlog=4096;
        location / {{
            return 200 "{server.name}\\n";
        }}
    }}
}}
"""


def start(topology: Topology, server: Host, directory: Path, namespace: str) -> None:
    """Start nginx in the server's namespace; it listens when this returns."""
    directory.mkdir()
    directory.joinpath("nginx.conf").write_text(config(topology, server))
    inside = ["ip", "netns", "exec", namespace]
    nginx = ["nginx", "-p", f"{directory}/", "-c", "nginx.conf", "-e", "error.log"]
    run_program(f"nginx on {server.name}", [*inside, *nginx])
