"""The files that a host with a share finds there, rendered; pure.

A share is a directory of the lab's state that the host sees as /run/lab (``init.sh``,
``namespace.sh``). All else it sees is the machine's own file tree. What a host does at its start
(``boot.sh``) follows from which of these files are there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port
from loadgen.lab.hosts import keepalived, netfilter, nginx
from loadgen.lab.system.wiring import host_lines, kernel_lines, route_lines, sysctls
from loadgen.lab.topology.model import Role, address6, triple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.lab.topology.model import Host, Topology

SHARE = "/run/lab"
"""Where the host sees its share."""

KEEPALIVED_LATER = "keepalived.later"
"""While this file is there keepalived does not start with its host."""

FORWARDING_FLAGS: Mapping[str, str] = {"dr": "-g", "nat": "-m", "tun": "-i"}
"""ipvsadm(8)'s word for each way of forwarding."""

PASSWD_FILE = """\
root:x:0:0:root:/run/root:/bin/dash
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
tcpdump:x:102:65534::/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""  # noqa: S105 - passwd(5) holds no passwords
"""The host's /etc/passwd: the machine's root may have a shell whose start-up files take seconds;
sshd(8) and tcpdump(1) need their unprivileged users."""
SHADOW_FILE = "root:*:19000::::::\n"
"""The host's /etc/shadow: sshd refuses a root whose account the machine has locked (``!``)."""


def share_files(topology: Topology, host: Host) -> dict[str, str]:
    """File name -> content; keys and scripts are put beside them."""
    lines = kernel_lines if topology.has_own_kernel(host) else host_lines
    values = sysctls(topology, host)
    common = {
        "ip.batch": _lines(lines(topology, host)),
        "routes.batch": _lines(route_lines(topology, host)),
        "sysctls": _lines([f"{name} {value}" for name, value in values.items()]),
        "passwd": PASSWD_FILE,
        "shadow": SHADOW_FILE,
        "sshd_config": sshd_settings(host),
    }
    if host.role is Role.SERVER:
        return common | _server_files(topology, host)
    return common | _director_files(topology, host)


def ipvs_rules(topology: Topology) -> list[str]:
    """The services as ``ipvsadm -R`` reads them."""
    rules: list[str] = []
    for vip in topology.vips:
        for flag, port in _ports(topology):
            rules += _service(topology, flag, vip.address, port)
            if topology.ipv6:
                rules += _service(topology, flag, vip.address6, port)
    return rules


def sshd_settings(host: Host) -> str:
    """The lab's key opens it, nothing else; no look-ups that take time: sshd_config(5)."""
    return f"""\
ListenAddress {host.address}
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


def echo_command(topology: Topology, server: Host, script: str) -> list[str]:
    """The UDP echo's command line: in nat at the server's own address, else at the VIPs."""
    behind = topology.forwarding == "nat"
    addresses = [server.address] if behind else [vip.address for vip in topology.vips]
    if topology.ipv6:
        addresses += [server.address6] if behind else [vip.address6 for vip in topology.vips]
    return [sys.executable, "-I", "-S", script, str(topology.udp_port), *addresses]


def _director_files(topology: Topology, director: Host) -> dict[str, str]:
    files = _ipvs_files(topology) if topology.has_ipvs else netfilter.files(topology)
    files["modules"] = " ".join(_director_modules(topology)) + "\n"
    if topology.conn_tab_bits is not None:
        files["ip_vs.options"] = f"conn_tab_bits={topology.conn_tab_bits}\n"
    if topology.vip_by == "keepalived":
        files["keepalived.conf"] = keepalived.render(topology, director)
        if topology.elects_later(director):
            files[KEEPALIVED_LATER] = ""
    return files


def _ipvs_files(topology: Topology) -> dict[str, str]:
    return {
        "ipvs.rules": _lines(ipvs_rules(topology)),
        "timeouts": triple(topology.timeouts, " ") + "\n",
    }


def _director_modules(topology: Topology) -> list[str]:
    vmac = ["macvlan"] if topology.use_vmac else []
    if topology.has_ipvs:
        return ["ip_vs", f"ip_vs_{topology.scheduler}", *vmac]
    kind = topology.director_kind
    of_ipv6 = netfilter.MODULES6[kind] if topology.ipv6 else ()
    return [*netfilter.MODULES[kind], *of_ipv6, *vmac]


def _server_files(topology: Topology, server: Host) -> dict[str, str]:
    files = {
        "modules": "ipip ip6_tunnel\n" if topology.ipv6 else "ipip\n",
        "nginx.conf": nginx.config(topology, server, in_guest=True),
    }
    if topology.udp_port is not None:
        files["echo.command"] = " ".join(echo_command(topology, server, f"{SHARE}/echo.py")) + "\n"
    return files


def _ports(topology: Topology) -> list[tuple[str, int]]:
    udp = [("-u", topology.udp_port)] if topology.udp_port is not None else []
    return [("-t", topology.port), *udp]


def _service(topology: Topology, flag: str, vip: str, port: int) -> list[str]:
    service = f"{flag} {host_port(vip, port)}"
    forwarding = FORWARDING_FLAGS[topology.forwarding]
    scheduling = f"-s {topology.scheduler}"
    if topology.scheduler_flags:
        scheduling += f" -b {topology.scheduler_flags}"
    family6 = ":" in vip
    return [
        f"-A {service} {scheduling}",
        *(
            f"-a {service} -r {host_port(address, port)} {forwarding} -w {server.weight}"
            for server in topology.servers
            for address in [address6(server.address) if family6 else server.address]
        ),
    ]


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
