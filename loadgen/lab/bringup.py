"""Bring a lab up, step by step, as much at once as can be.

The kernels boot for about a second and keepalived then waits out a master_down_interval of four;
everything else is done meanwhile. The lab is up when an HTTP request by way of each VIP was
answered, every VIP is where it belongs, and every director was reached by ssh.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab import state
from loadgen.lab.faults.faults import KEEPALIVED_START
from loadgen.lab.hosts import control, ssh
from loadgen.lab.hosts.guest import KEEPALIVED_LATER
from loadgen.lab.hosts.machine import (
    HostProcess,
    ended_early,
    keep_console_log,
    prepare_share,
    reap,
    start,
)
from loadgen.lab.hosts.machines import Machines, has_taps, is_plain_server
from loadgen.lab.kernels import hostkernel
from loadgen.lab.probe import Prober
from loadgen.lab.settle import settle
from loadgen.lab.system import netns, wiring
from loadgen.lab.system.processes import Process, of_session, stop
from loadgen.lab.system.programs import marked
from loadgen.lab.topology.model import Kernel, namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadgen.lab.topology.model import Host, Topology

    Say = Callable[[str], None]

UP_LIMIT_S = 40.0
LOOK_INTERVAL_S = 0.02
REACH_LIMIT_S = 2.5
"""A host whose sshd listens but cannot be reached for that long came up cut off: about one boot
in a hundred does, for no reason found, and booting it again cures it."""


@dataclass(slots=True, kw_only=True)
class Boot:
    """A host on its way up."""

    machine: HostProcess
    host: Host
    process: Process
    ready_since_s: float | None = None
    reached: bool = False
    boots: int = 1


@dataclass(slots=True, kw_only=True)
class BringUp:
    """One ``lab up``: its parts in the order they are run."""

    name: str
    topology: Topology
    memory_directory: Path  # not made yet
    say: Say
    boots: list[Boot] = field(default_factory=list)

    @property
    def machines(self) -> Machines:
        """How the hosts are made."""
        return Machines(
            name=self.name, topology=self.topology, memory_directory=self.memory_directory
        )

    @property
    def directory(self) -> Path:
        """The lab's files."""
        return state.directory(self.name)

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
            self.start_machines()
            self.start_plain_hosts()
            self.wait_until_the_vips_answer()
            self.start_later_elections()
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
        """Namespaces, bridge with all its ports."""
        if self.topology.kernel is Kernel.HOST:
            hostkernel.load(self.topology)
        machines = self.machines
        machines.make_namespaces(wiring.namespaces(self.name, self.topology))
        netns.write_sysctls(machines.hub, wiring.hub_sysctls())
        for host in wiring.namespaced(self.topology):
            machines.write_sysctls(host)
        lines = wiring.hub_lines(self.name, self.topology, taps=has_taps())
        netns.batch("bridge", lines, namespace=machines.hub)

    def start_machines(self) -> None:
        """Start every host that is a process of its own; the one to be master first."""
        # The pointer comes first: whatever happens next, `down` knows what to remove.
        self.directory.joinpath("memory").symlink_to(self.memory_directory)
        self.memory_directory.mkdir(mode=0o700)
        machines = self.machines
        for host in machines.started:
            machine = machines.machine(host)
            prepare_share(machine, machines.share_files(host))
            machines.stop_offloads(host)
            self.boots.append(Boot(machine=machine, host=host, process=start(machine)))
        self.say(f"{', '.join(boot.host.name for boot in self.boots)}: booting")

    def start_plain_hosts(self) -> None:
        """Addresses and offloads of the clients and the real servers; nginx."""
        machines = self.machines
        for host in machines.plain:
            machines.configure(host)
            machines.stop_offloads(host)
        servers = [host for host in machines.plain if is_plain_server(self.topology, host)]
        for server in servers:
            machines.start_services(server)
        if servers:
            self.say(f"{', '.join(host.name for host in servers)}: nginx answers")

    def wait_until_the_vips_answer(self) -> None:
        """Hosts ready and reachable, each VIP with its first master, HTTP answered by way of it.

        Raises:
            RunFailed: a host ended, or it took too long; the line says what was still missing.
        """
        prober = Prober(self.topology, self.client_namespace)
        deadline_s = time.monotonic() + UP_LIMIT_S
        while True:
            self.look_after_boots(prober)
            missing = self.missing(prober)
            if missing is None:
                break
            if time.monotonic() > deadline_s:
                raise RunFailed(f"lab {self.name!r} is not up after {UP_LIMIT_S:g} s: {missing}")
            time.sleep(LOOK_INTERVAL_S)
        for vip in self.topology.vips:
            self.say(f"{vip.address} answers, by way of {vip.first_master}")

    def start_later_elections(self) -> None:
        """Start keepalived where it waited for the first master, now and from the next boot on."""
        for host in self.topology.directors:
            share = self.directory / host.name
            if self.topology.elects_later(host) and self.topology.vip_by == "keepalived":
                share.joinpath(KEEPALIVED_LATER).unlink()
                control.order(share, host.name, KEEPALIVED_START)
                self.say(f"{host.name}: keepalived started")

    def missing(self, prober: Prober) -> str | None:
        """What is still missing, or None."""
        unready = [boot.host.name for boot in self.boots if not boot.reached]
        if unready:
            return f"{', '.join(unready)} not ready"
        return prober.missing()

    def look_after_boots(self, prober: Prober) -> None:
        """Notice the ready ones, those that ended, and those that came up cut off."""
        for boot in self.boots:
            if boot.reached:
                continue
            if not boot.process.is_alive:
                raise ended_early(boot.machine)
            if boot.ready_since_s is None:
                self.notice_ready(boot)
            elif prober.reaches(boot.host):
                boot.reached = True
            elif time.monotonic() - boot.ready_since_s > REACH_LIMIT_S:
                self.boot_again(boot)

    def notice_ready(self, boot: Boot) -> None:
        """Take down the time at which the host's script was through."""
        if boot.machine.ready_file.exists():
            boot.ready_since_s = time.monotonic()
            self.say(f"{boot.host.name}: booted")

    def boot_again(self, boot: Boot) -> None:
        """Replace a kernel that has no network by a fresh one."""
        name = boot.host.name
        if boot.boots > 1:
            raise RunFailed(f"{name} booted twice and could not be reached either time")
        self.say(f"{name}: booted but cannot be reached; booting it again")
        stop(lambda: of_session(boot.process.pid, self.name))
        reap(boot.process)
        boot.process = start(boot.machine)
        boot.ready_since_s = None
        boot.boots += 1

    def keep_console_logs(self) -> Iterator[str]:
        """Save the consoles of hosts that did not boot; the last lines of each, and where it is."""
        for boot in self.boots:
            if not boot.reached and (shown := keep_console_log(boot.machine)) is not None:
                yield from shown

    def reap(self) -> None:
        """After the lab was taken down: leave no zombie of this process."""
        for boot in self.boots:
            reap(boot.process)

    def describe(self, kernel_release: str) -> state.LabState:
        """What ``state.json`` will say."""
        return state.LabState(
            name=self.name,
            topology=self.topology,
            kernel=str(self.topology.kernel),
            kernel_release=kernel_release,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            processes={boot.host.name: boot.process for boot in self.boots},
        )
