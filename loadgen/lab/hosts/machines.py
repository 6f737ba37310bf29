"""How each of a lab's hosts is made: which command line, which share, which links.

One host at a time, because a crashed one is booted again the same way.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab import state
from loadgen.lab.hosts import guest, nginx
from loadgen.lab.hosts.machine import HERE, HostProcess
from loadgen.lab.kernels import hostkernel, images, uml
from loadgen.lab.system import netns, wiring
from loadgen.lab.system.programs import environment, run_program, search_path
from loadgen.lab.topology.model import INTERFACE, Role, namespace, port_name

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Host, Topology

TUN = Path("/dev/net/tun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """How the hosts of one lab are made."""

    name: str
    topology: Topology
    memory_directory: Path

    @property
    def directory(self) -> Path:
        """The lab's files."""
        return state.directory(self.name)

    @property
    def hub(self) -> str:
        """The namespace of the bridge."""
        return namespace(self.name, wiring.HUB)

    @property
    def started(self) -> list[Host]:
        """The hosts that are processes of their own; whoever is to be master first."""
        hosts = [host for host in self.topology.hosts if self.topology.has_sshd(host)]
        masters = {vip.first_master for vip in self.topology.vips}
        first = self.topology.first_master.name
        return sorted(hosts, key=lambda host: (host.name != first, host.name not in masters))

    @property
    def plain(self) -> list[Host]:
        """The hosts that are mere namespaces: clients, and real servers in dr and nat."""
        return [host for host in self.topology.hosts if not self.topology.has_sshd(host)]

    def machine(self, host: Host) -> HostProcess:
        """What a host's process is started with."""
        return HostProcess(
            lab_name=self.name,
            host_name=host.name,
            directory=self.directory,
            memory_directory=self.memory_directory,
            argv=self._command(host),
        )

    def share_files(self, host: Host) -> dict[str, str]:
        """The files of a host's share."""
        return guest.share_files(self.topology, host)

    def make_namespaces(self, names: list[str]) -> None:
        """Add namespaces by name."""
        netns.batch("namespaces", wiring.namespace_lines(names))

    def write_sysctls(self, host: Host) -> None:
        """A namespace's sysctls, before its link goes up."""
        inside = namespace(self.name, host.name)
        netns.write_sysctls(inside, wiring.sysctls(self.topology, host))

    def make_port(self, host: Host) -> None:
        """One host's port on the bridge."""
        lines = wiring.port_lines(self.name, self.topology, host, taps=has_taps())
        netns.batch(f"port of {host.name}", lines, namespace=self.hub)

    def stop_offloads(self, host: Host) -> None:
        """Let captures hold real checksums and packets of wire size (ethtool(8))."""
        if not self.topology.has_own_kernel(host):
            stop_offloads(namespace(self.name, host.name), INTERFACE)
            stop_offloads(self.hub, port_name(host.name))
        elif not has_taps():
            stop_offloads(self.hub, wiring.raw_name(host.name))
            stop_offloads(self.hub, port_name(host.name))

    def configure(self, host: Host) -> None:
        """Addresses of a mere namespace."""
        inside = namespace(self.name, host.name)
        netns.batch(host.name, wiring.host_lines(self.topology, host), namespace=inside)

    def start_services(self, host: Host) -> None:
        """What a real server in a mere namespace runs."""
        place, inside = self.directory / host.name, namespace(self.name, host.name)
        nginx.prepare(self.topology, host, place)
        nginx.start(host, place, inside)
        if self.topology.udp_port is not None:
            argv = guest.echo_command(self.topology, host, str(HERE / "echo.py"))
            start_in_background(["ip", "netns", "exec", inside, *argv], place / "echo.log")

    def _command(self, host: Host) -> list[str]:
        if not self.topology.has_own_kernel(host):
            return hostkernel.command(self.name, host, self.directory)
        image = images.find(self.topology.kernel_image(host))
        if image is None:
            raise RunFailed(f"{host.name}: its kernel image is gone from {images.cache()}")
        return uml.command(self.name, self.topology, host, self.directory, image, taps=has_taps())


def has_taps() -> bool:
    """Whether this user may make taps; else a kernel reads a veth by a raw socket."""
    return os.access(TUN, os.R_OK | os.W_OK)


def is_plain_server(topology: Topology, host: Host) -> bool:
    """Whether a host is a real server in a mere namespace."""
    return host.role is Role.SERVER and not topology.has_sshd(host)


def stop_offloads(inside: str, interface: str) -> None:
    """Turn off what a veth would leave to a card."""
    features = [word for name in ("tx", "tso", "gso", "gro") for word in (name, "off")]
    run_program(
        f"offloads of {interface}",
        ["ip", "netns", "exec", inside, "ethtool", "-K", interface, *features],
    )


def start_in_background(argv: list[str], log: Path) -> None:
    """Start a program that outlives this one; it carries the lab's mark."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        shutil.which(argv[0], path=search_path()) or argv[0],
        argv,
        dict(environment()),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
    )
