"""A real server's nginx: one small answer for any path, and a download that takes its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.system import rootless
from loadgen.lab.system.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.lab.topology.model import Host, Topology

PROGRAM = ("nginx", "-c", "nginx.conf", "-e", "error.log")
DOWNLOAD_PATH = "/download"
ALONE = "user root root;\nmaster_process off;\n"
IN_GUEST = "daemon off;\nmaster_process off;\n"


def config(topology: Topology, server: Host, *, in_guest: bool = False, alone: bool = False) -> str:
    """nginx.conf; paths are relative to the prefix that it is started with.

    In a kernel of its own one process does it all: forks are expensive there. Also in the lab of an
    ordinary user (``alone``), where there is no other user to become.
    """
    head = IN_GUEST if in_guest else ALONE if alone else ""
    temporary = "".join(
        f"    {kind}_temp_path temporary;\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    listen6 = f"\n        listen [::]:{topology.port} backlog=4096;" if topology.ipv6 else ""
    return f"""\
{head}pid nginx.pid;
error_log error.log;
worker_processes 1;
worker_rlimit_nofile 65536;
events {{
    worker_connections {8192 if in_guest else 32768};
}}
http {{
{temporary}    access_log off;
    default_type text/plain;
    server {{
        listen {topology.port} backlog=4096;{listen6}
        location / {{
            return 200 "{server.name}\\n";
        }}
{download()}    }}
}}
"""


def download() -> str:
    """A location that sends a kilobyte each tenth of a second, for a minute.

    The body is doubled up from one line, so that no file is needed.
    """
    return f"""\
        location = {DOWNLOAD_PATH} {{
            set $a "{"." * 63}\\n";
            set $b "{"$a" * 16}";
            set $c "{"$b" * 24}";
            limit_rate 10k;
            sendfile_max_chunk 1k;
            return 200 "{"$c" * 25}";
        }}
"""


def prepare(topology: Topology, server: Host, directory: Path) -> None:
    """The server's directory in the lab's."""
    directory.mkdir()
    directory.joinpath("nginx.conf").write_text(
        config(topology, server, alone=rootless.is_inside())
    )


def start(server: Host, directory: Path, namespace: str) -> None:
    """Start nginx in the server's namespace; it listens when this returns."""
    program, *words = PROGRAM
    inside = ["ip", "netns", "exec", namespace]
    run_program(f"nginx on {server.name}", [*inside, program, "-p", f"{directory}/", *words])


def site(topology: Topology, server: Host) -> str:
    """The same answer as a site of a real machine's nginx."""
    listen6 = f"\n    listen [::]:{topology.port};" if topology.ipv6 else ""
    return f"""\
server {{
    listen {topology.port};{listen6}
    default_type text/plain;
    location / {{
        return 200 "{server.name}\\n";
    }}
}}
"""
