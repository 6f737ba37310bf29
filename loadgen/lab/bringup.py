"""Bring a lab up, step by step, as much at once as can be.

The directors boot for about a second and keepalived then waits out a master_down_interval of
four; everything else is done meanwhile. The lab is up when an HTTP request by way of the VIP was
answered by every real server, the VIP is where it belongs, and every director was reached by ssh.

The requests that prove this would leave entries in the director's table for two minutes, and a
table that is not empty spoils the first measurement. So directors boot with a tcpfin of one second,
and get their own timeouts once their tables are empty.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab import guest, netns, nginx, ssh, state, uml, wiring
from loadgen.lab.probe import Prober
from loadgen.lab.processes import Process, of_session, stop
from loadgen.lab.programs import marked, run_program
from loadgen.lab.settle import settle
from loadgen.lab.topology import INTERFACE, Role, namespace, port_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadgen.lab.topology import Host, Topology

    Say = Callable[[str], None]

UP_LIMIT_S = 40.0
LOOK_INTERVAL_S = 0.02
REACH_LIMIT_S = 2.5
"""A director whose sshd listens but cannot be reached for that long came up cut off: about one boot
in a hundred does, for no reason found, and booting it again cures it."""
BOOT_TIMEOUTS = "0 1 0\n"


@dataclass(slots=True, kw_only=True)
class Boot:
    """A director on its way up."""

    guest: uml.Guest
    host: Host
    process: Process
    ready_since_s: float | None = None
    reached: bool = False
    boots: int = 1

    @property
    def ready_file(self) -> Path:
        """Made by the guest's init when everything in it has been started."""
        return self.guest.share / "ready"


@dataclass(slots=True, kw_only=True)
class BringUp:
    """One ``lab up``: its parts in the order they are run."""

    name: str
    topology: Topology
    memory_directory: Path  # not made yet
    say: Say
    boots: list[Boot] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """The lab's files."""
        return state.directory(self.name)

    @property
    def hub(self) -> str:
        """The namespace of the bridge."""
        return namespace(self.name, wiring.HUB)

    @property
    def client_namespace(self) -> str:
        """Where load is sent from."""
        return namespace(self.name, self.topology.client.name)

    def run(self) -> state.LabState:
        """Do it all.

        Raises:
            LoadgenError: a step failed; what was made until then is still there.
        """
        with marked(self.name):
            self.make_files()
            self.make_network()
            self.start_directors()
            self.start_hosts()
            self.wait_until_the_vip_answers()
            release = settle(self.topology, self.client_namespace, self.directory / "ssh_config")
        made = self.describe(release)
        state.write(made)
        return made

    def make_files(self) -> None:
        """The lab's directory with its keys."""
        self.say(f"lab {self.name!r}: keys, namespaces, bridge")
        directory = state.create_directory(self.name)
        ssh.make_key(directory / "client_key", f"loadgen lab {self.name}")
        ssh.make_key(directory / "host_key", f"loadgen lab {self.name}")
        host_key = directory.joinpath("host_key.pub").read_text()
        directory.joinpath("known_hosts").write_text(ssh.known_hosts(self.topology, host_key))
        directory.joinpath("ssh_config").write_text(ssh.config(self.topology, directory))

    def make_network(self) -> None:
        """Namespaces, sysctls, bridge with all its ports."""
        names = wiring.namespaces(self.name, self.topology)
        netns.batch("namespaces", wiring.namespace_lines(names))
        netns.write_sysctls(self.hub, wiring.sysctls(Role.CLIENT))
        for host in wiring.namespaced(self.topology):
            netns.write_sysctls(namespace(self.name, host.name), wiring.sysctls(host.role))
        netns.batch("bridge", wiring.hub_lines(self.name, self.topology), namespace=self.hub)

    def start_directors(self) -> None:
        """Start every director's kernel; the one to be master first."""
        topology = self.topology
        # The pointer comes first: whatever happens next, `down` knows what to remove.
        self.directory.joinpath("memory").symlink_to(self.memory_directory)
        self.memory_directory.mkdir(mode=0o700)
        for host in sorted(topology.directors, key=lambda host: -(host.priority or 0)):
            made = self.guest_of(host)
            files = {**guest.share_files(topology, host), "timeouts": BOOT_TIMEOUTS}
            uml.prepare_share(made, files)
            self.boots.append(Boot(guest=made, host=host, process=uml.start(made)))
        self.say(f"{', '.join(boot.host.name for boot in self.boots)}: kernels are booting")

    def guest_of(self, host: Host) -> uml.Guest:
        """What a director's kernel is started with."""
        return uml.Guest(
            lab_name=self.name,
            host_name=host.name,
            hub_namespace=self.hub,
            directory=self.directory,
            memory_directory=self.memory_directory,
            memory_mb=self.topology.director_memory_mb,
        )

    def start_hosts(self) -> None:
        """Addresses and offloads of the client and the real servers; nginx."""
        for host in wiring.namespaced(self.topology):
            inside = namespace(self.name, host.name)
            lines = wiring.host_lines(self.topology, host)
            netns.batch(host.name, lines, namespace=inside)
            stop_offloads(inside, INTERFACE)
            stop_offloads(self.hub, port_name(host.name))
        for server in self.topology.servers:
            place = self.directory / server.name
            nginx.start(self.topology, server, place, namespace(self.name, server.name))
        self.say(f"{', '.join(host.name for host in self.topology.servers)}: nginx answers")

    def wait_until_the_vip_answers(self) -> None:
        """Directors ready and reachable, the VIP with its first master, HTTP answered by way of it.

        Raises:
            RunFailed: a director ended, or it took too long; the line says what was still missing.
        """
        prober = Prober(self.topology, self.client_namespace)
        deadline_s = time.monotonic() + UP_LIMIT_S
        while True:
            self.look_after_directors(prober)
            missing = self.missing(prober)
            if missing is None:
                break
            if time.monotonic() > deadline_s:
                raise RunFailed(f"lab {self.name!r} is not up after {UP_LIMIT_S:g} s: {missing}")
            time.sleep(LOOK_INTERVAL_S)
        self.say(f"{self.topology.vip} answers, by way of {self.topology.first_master.name}")

    def missing(self, prober: Prober) -> str | None:
        """What is still missing, or None."""
        unready = [boot.host.name for boot in self.boots if not boot.reached]
        if unready:
            return f"{', '.join(unready)} not ready"
        return prober.missing()

    def look_after_directors(self, prober: Prober) -> None:
        """Notice the ready ones, those that ended, and those that came up cut off."""
        for boot in self.boots:
            if boot.reached:
                continue
            if not boot.process.is_alive:
                raise uml.ended_early(boot.guest)
            if boot.ready_since_s is None:
                self.notice_ready(boot)
            elif prober.reaches(boot.host):
                boot.reached = True
            elif time.monotonic() - boot.ready_since_s > REACH_LIMIT_S:
                self.boot_again(boot)

    def notice_ready(self, boot: Boot) -> None:
        """Take down the time at which the guest's init was through."""
        if boot.ready_file.exists():
            boot.ready_since_s = time.monotonic()
            self.say(f"{boot.host.name}: booted")

    def boot_again(self, boot: Boot) -> None:
        """Replace a kernel that has no network by a fresh one."""
        name = boot.host.name
        if boot.boots > 1:
            raise RunFailed(f"director {name} booted twice and could not be reached either time")
        self.say(f"{name}: booted but cannot be reached; booting it again")
        stop(lambda: of_session(boot.process.pid, self.name))
        uml.reap(boot.process)
        boot.ready_file.unlink()
        boot.process = uml.start(boot.guest)
        boot.ready_since_s = None
        boot.boots += 1

    def reap(self) -> None:
        """After the lab was taken down: leave no zombie of this process."""
        for boot in self.boots:
            uml.reap(boot.process)

    def describe(self, kernel_release: str) -> state.LabState:
        """What ``state.json`` will say."""
        return state.LabState(
            name=self.name,
            topology=self.topology,
            kernel="uml",
            kernel_release=kernel_release,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            directors={boot.host.name: boot.process for boot in self.boots},
        )


def stop_offloads(inside: str, interface: str) -> None:
    """Let captures hold real checksums and packets of wire size (ethtool(8))."""
    features = [word for name in ("tx", "tso", "gso", "gro") for word in (name, "off")]
    run_program(
        f"offloads of {interface}",
        ["ip", "netns", "exec", inside, "ethtool", "-K", interface, *features],
    )
