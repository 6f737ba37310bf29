"""The files that a director finds in its share, rendered; pure.

The share is a directory of the lab's state that the guest mounts on /run/lab (``init.sh``). All
else the guest sees is the machine's own file tree, read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab import keepalived
from loadgen.lab.wiring import guest_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.lab.topology import Host, Topology

SHARE = "/run/lab"
"""Where the guest sees its share."""

FORWARDING_FLAGS: Mapping[str, str] = {"dr": "-g"}
"""ipvsadm(8)'s word for each way of forwarding."""

PASSWD_FILE = """\
root:x:0:0:root:/run/root:/bin/dash
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""  # noqa: S105 - passwd(5) holds no passwords
"""The guest's /etc/passwd: the machine's root may have a shell whose start-up files take seconds;
sshd(8) needs its unprivileged user."""


def share_files(topology: Topology, director: Host) -> dict[str, str]:
    """File name -> content; keys and ``init.sh`` are put beside them."""
    return {
        "ip.batch": _lines(guest_lines(topology, director)),
        "ipvs.rules": _lines(ipvs_rules(topology)),
        "timeouts": str(topology.timeouts).replace(",", " ") + "\n",
        "keepalived.conf": keepalived.render(topology, director),
        "passwd": PASSWD_FILE,
        "sshd_config": sshd_settings(director),
    }


def ipvs_rules(topology: Topology) -> list[str]:
    """The service as ``ipvsadm -R`` reads it."""
    service = f"{topology.vip}:{topology.port}"
    flag = FORWARDING_FLAGS[topology.forwarding]
    return [
        f"-A -t {service} -s {topology.scheduler}",
        *(
            f"-a -t {service} -r {server.address}:{topology.port} {flag} -w {server.weight}"
            for server in topology.servers
        ),
    ]


def sshd_settings(director: Host) -> str:
    """The lab's key opens it, nothing else; no look-ups that take time: sshd_config(5)."""
    return f"""\
ListenAddress {director.address}
HostKey {SHARE}/host_key
AuthorizedKeysFile {SHARE}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PrintLastLog no
PrintMotd no
PidFile /run/sshd.pid
MaxStartups 100
MaxSessions 100
SetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin
"""


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
