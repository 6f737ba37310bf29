"""A lab that is up, as the rest of the program uses it."""

from __future__ import annotations

import itertools
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab import state
from loadgen.lab.bringup import BringUp
from loadgen.lab.faults import events
from loadgen.lab.hosts import ssh
from loadgen.lab.hosts.hosts import Director, LabHost, Server
from loadgen.lab.hosts.machine import reap
from loadgen.lab.hosts.machines import Machines
from loadgen.lab.kernels import hostkernel, uml
from loadgen.lab.system import netns, preflight, wiring
from loadgen.lab.system.programs import environment
from loadgen.lab.takedown import take_down
from loadgen.lab.topology import model as topology
from loadgen.lab.topology.contradictions import check as check_topology
from loadgen.lab.topology.model import INTERFACE, Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from loadgen.lab.faults.events import LabEvent
    from loadgen.lab.state import LabState

    Say = Callable[[str], None]

DEFAULT_NAME = "lab"
"""The command line's; a program's own labs have names of their own."""
RUN_LIMIT_S = 30.0
LOCK_WAIT_S = 15.0
"""How long ``down`` waits for an ``up`` that is being undone."""

_numbers = itertools.count(1)


def command_line(word: str, lab_name: str) -> str:
    """``loadgen lab WORD`` for this lab, as a hint to type."""
    return f"loadgen lab {word}" + ("" if lab_name == DEFAULT_NAME else f" --name {lab_name}")


def be_silent(_line: str) -> None:
    """Say nothing."""


class Lab:
    """One lab; ``with Lab(topology) as lab:`` brings it up, and takes it down at the end."""

    def __init__(
        self,
        wanted: Topology | None = None,
        *,
        name: str | None = None,
        say: Say = be_silent,
    ) -> None:
        """A lab that is not up yet.

        Args:
            wanted: the lab's topology; by default the exercise's.
            name: labs of different names can be up at once; by default one that no other
                process uses.
            say: takes a line for each step.

        Raises:
            UsageProblem: the name will not do, or the topology contradicts itself.
        """
        self.name = topology.check_lab_name(name or f"p{os.getpid()}-{next(_numbers)}")
        self._wanted = wanted or topology.exercise()
        self._say = say
        self._known: LabState | None = None
        check_topology(self._wanted)

    @classmethod
    def of(cls, lab_state: LabState) -> Self:
        """The lab that a state describes."""
        made = cls(lab_state.topology, name=lab_state.name)
        made._known = lab_state
        return made

    def up(self) -> Self:
        """Bring it up, or find it up already; what a killed one left is removed first.

        Raises:
            UsageProblem: this machine cannot, or a lab of that name is up with another topology.
            RunFailed: a step failed; all that came before has been undone.
        """
        kernel = hostkernel.resolve(self._wanted)
        wanted = topology.with_kernel(self._wanted, kernel)
        check_topology(wanted)
        preflight.check(wanted, self._say)
        with state.lock(self.name):
            present = running(self.name)
            if present is not None:
                self._known = present.if_equal(wanted, self._say).state
            else:
                if take_down(self.name):
                    self._say(f"removed what was left of a lab {self.name!r}")
                self._known = _bring_up(self.name, wanted, self._say)
        return self

    def down(self) -> None:
        """Take the lab down; no error if it is down already."""
        down(self.name)
        if self._known is not None:
            for process in self._known.processes.values():
                reap(process)

    def __enter__(self) -> Self:
        return self if self._known is not None else self.up()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def state(self) -> LabState:
        """What is known of the lab since it came up or was last changed from here."""
        if self._known is None:
            raise RunFailed(f"lab {self.name!r} is not up")
        return self._known

    def refresh(self) -> None:
        """Learn what other processes have changed.

        Raises:
            RunFailed: the lab is down.
        """
        self._known = state.read(self.name)
        _ = self.state

    def remember(self, changed: LabState) -> None:
        """Write a change down; the caller holds the lab's lock."""
        state.write(changed)
        self._known = changed

    @property
    def topology(self) -> Topology:
        """What the lab is made of."""
        return self._wanted if self._known is None else self._known.topology

    @property
    def directory(self) -> Path:
        """The lab's files."""
        return state.directory(self.name)

    @property
    def machines(self) -> Machines:
        """How its hosts are made."""
        return Machines(
            name=self.name,
            topology=self.topology,
            memory_directory=self.directory.joinpath("memory").readlink(),
        )

    @property
    def client(self) -> LabHost:
        """The host that load is sent from."""
        return LabHost(self, self.topology.client.name)

    @property
    def clients(self) -> Mapping[str, LabHost]:
        """All hosts that load may be sent from, by name."""
        return {host.name: LabHost(self, host.name) for host in self.topology.clients}

    @property
    def directors(self) -> Mapping[str, Director]:
        """The directors, by name."""
        return {host.name: Director(self, host.name) for host in self.topology.directors}

    @property
    def servers(self) -> Mapping[str, Server]:
        """The real servers, by name."""
        return {host.name: Server(self, host.name) for host in self.topology.servers}

    @property
    def hosts(self) -> Mapping[str, LabHost]:
        """Every host, by name."""
        return {**self.clients, **self.directors, **self.servers}

    @property
    def client_namespace(self) -> str:
        """The network namespace that load is sent from."""
        return topology.namespace(self.name, self.topology.client.name)

    @property
    def client_interface(self) -> str:
        """The client's link to the others, in its namespace."""
        return INTERFACE

    @property
    def ssh_config(self) -> Path:
        """``ip netns exec CLIENT ssh -F THIS bal01`` reaches a director."""
        return self.directory / "ssh_config"

    @property
    def director_names(self) -> tuple[str, ...]:
        """The directors, in the topology's order."""
        return tuple(host.name for host in self.topology.directors)

    def holds(self, vip: str) -> bool:
        """Whether an address is one of the lab's virtual IPs."""
        return self.topology.holds(vip)

    def events(self) -> list[LabEvent]:
        """What was done to the lab since it came up."""
        return events.read(self.name)

    def namespace_of(self, host_name: str) -> str:
        """The namespace a host's network is in; for a kernel of its own the hub's."""
        has_own_kernel = self.topology.has_own_kernel(self.topology.host(host_name))
        return topology.namespace(self.name, wiring.HUB if has_own_kernel else host_name)

    def damage(self) -> list[str]:
        """What is missing of the lab's namespaces and processes; nobody is asked.

        What a fault has ended is not missing.
        """
        crashed = self.state.crashed
        spared = {topology.namespace(self.name, name) for name in crashed}
        names = wiring.namespaces(self.name, self.topology)
        names = [name for name in names if name not in spared]
        missing = [f"namespace {name} is gone" for name in names if not netns.exists(name)]
        live = {n: p for n, p in self.state.processes.items() if n not in crashed}
        dead = [
            f"{name}'s kernel has ended" for name, process in live.items() if not process.is_alive
        ]
        return missing + dead

    def command(self, host_name: str, argv: Sequence[str], *, terminal: bool = False) -> list[str]:
        """The command line that runs ``argv`` on a host: by ``ip netns exec``, or by ssh.

        ssh hands one string to the far shell, so the words are quoted for it.
        """
        if not self.topology.has_sshd(self.topology.host(host_name)):
            return ["ip", "netns", "exec", self.namespace_of(host_name), *argv]
        flags = ["-t"] if terminal and argv else []
        login = ssh.command(self.client_namespace, self.ssh_config)
        return [*login, *flags, host_name, *([ssh.quote(argv)] if argv else [])]

    def run(
        self,
        host_name: str,
        argv: Sequence[str],
        *,
        text: str | None = None,
        limit_s: float = RUN_LIMIT_S,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host and collect what it prints.

        Raises:
            UsageProblem: no such host.
            subprocess.TimeoutExpired: it took longer than ``limit_s``.
            subprocess.CalledProcessError: ``check``, and its exit code is not 0.
        """
        return subprocess.run(
            self.command(host_name, argv),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=check,
            env=environment(),
        )

    def if_equal(self, expected: Topology, say: Say) -> Lab:
        """This lab, if it is what was wanted."""
        if self.topology != expected:
            what = topology.difference(self.topology, expected)
            raise UsageProblem(
                f"lab {self.name!r} is up already with {what}; "
                f"`{command_line('down', self.name)}` first"
            )
        say(f"lab {self.name!r} is up already")
        return self


def running(name: str = DEFAULT_NAME) -> Lab | None:
    """The lab of that name, if it is up and healthy. Cheap: nobody is asked."""
    lab = brought_up(name)
    return None if lab is None or lab.damage() else lab


def brought_up(name: str = DEFAULT_NAME) -> Lab | None:
    """The lab of that name, if it was brought up and not taken down; it may be damaged since."""
    lab_state = state.read(topology.check_lab_name(name))
    return None if lab_state is None else Lab.of(lab_state)


def running_labs() -> list[Lab]:
    """Every lab that is up and healthy, by name; none whose topology this version refuses."""
    found = []
    for name in state.lab_names():
        with suppress(UsageProblem):
            if lab := running(name):
                found.append(lab)
    return found


def down(name: str = DEFAULT_NAME) -> bool:
    """Remove a lab or what is left of one.

    Returns:
        Whether anything was there.

    Raises:
        UsageProblem: not root.
        RunFailed: another process is bringing it up, and still is after 15 s.
    """
    topology.check_lab_name(name)
    if os.geteuid() != 0:
        raise UsageProblem("taking a lab down needs root (sudo)")
    with state.lock(name, wait_s=LOCK_WAIT_S):
        return take_down(name)


def _bring_up(name: str, wanted: Topology, say: Say) -> LabState:
    memory = uml.choose_memory_directory(name, uml.needed_mb(wanted))
    starting = BringUp(name=name, topology=wanted, memory_directory=memory, say=say)
    try:
        return starting.run()
    except BaseException as error:
        for line in starting.keep_console_logs():
            say(line)
        say(f"lab {name!r}: undoing what was done")
        take_down(name)
        starting.reap()
        if isinstance(error, OSError):
            raise RunFailed(f"lab {name!r}: {error}") from error
        raise
