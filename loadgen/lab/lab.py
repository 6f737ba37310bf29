"""A lab that is up, as the rest of the program uses it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Self

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab import netns, preflight, ssh, state, topology, uml, wiring
from loadgen.lab.bringup import BringUp
from loadgen.lab.programs import environment
from loadgen.lab.takedown import take_down
from loadgen.lab.topology import INTERFACE, Role, Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    Say = Callable[[str], None]

DEFAULT_NAME = "lab"
RUN_LIMIT_S = 30.0
LOCK_WAIT_S = 15.0
"""How long ``down`` waits for an ``up`` that is being undone."""


def command_line(word: str, lab_name: str) -> str:
    """``loadgen lab WORD`` for this lab, as a hint to type."""
    return f"loadgen lab {word}" + ("" if lab_name == DEFAULT_NAME else f" --name {lab_name}")


def be_silent(_line: str) -> None:
    """Say nothing."""


class Lab:
    """One running lab; ``with Lab.up(topology) as lab:`` takes it down at the end."""

    def __init__(self, lab_state: state.LabState) -> None:
        self.state = lab_state

    @classmethod
    def up(
        cls,
        wanted: Topology | None = None,
        *,
        name: str = DEFAULT_NAME,
        say: Say = be_silent,
    ) -> Lab:
        """Bring a lab up, or find it up already; what a killed one left is removed first.

        Args:
            wanted: the lab's topology; the exercise's unless told.
            name: labs of different names live side by side.
            say: takes a line for each step.

        Raises:
            UsageProblem: this machine cannot, or a lab of that name is up with another topology.
            RunFailed: a step failed; all that came before has been undone.
        """
        topology.check_lab_name(name)
        wanted = wanted or topology.exercise()
        preflight.check()
        with state.lock(name):
            found = running(name)
            if found is not None:
                return found.if_equal(wanted, say)
            if take_down(name):
                say(f"removed what was left of a lab {name!r}")
            return cls(_bring_up(name, wanted, say))

    def down(self) -> None:
        """Take the lab down; that it is gone already is no error."""
        down(self.name)
        for process in self.state.directors.values():
            uml.reap(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.state.name

    @property
    def topology(self) -> Topology:
        """What the lab is made of."""
        return self.state.topology

    @property
    def directory(self) -> Path:
        """The lab's files."""
        return state.directory(self.name)

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

    def namespace_of(self, host_name: str) -> str:
        """The namespace a host's network is in; a director's is the hub's, where its tap is."""
        is_director = self.topology.host(host_name).role is Role.DIRECTOR
        return topology.namespace(self.name, wiring.HUB if is_director else host_name)

    def damage(self) -> list[str]:
        """What is missing of the lab's namespaces and its directors' processes; nobody is asked."""
        names = wiring.namespaces(self.name, self.topology)
        gone = [f"namespace {name} is gone" for name in names if not netns.exists(name)]
        directors = self.state.directors.items()
        dead = [f"{name}'s kernel has ended" for name, process in directors if not process.is_alive]
        return gone + dead

    def command(self, host_name: str, argv: Sequence[str], *, terminal: bool = False) -> list[str]:
        """The command line that runs ``argv`` on a host: by ``ip netns exec``, or by ssh.

        ssh hands one string to the far shell, so the words are quoted for it.
        """
        if self.topology.host(host_name).role is not Role.DIRECTOR:
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

    def if_equal(self, wanted: Topology, say: Say) -> Lab:
        """This lab, if it is what was wanted."""
        if self.topology != wanted:
            what = topology.difference(self.topology, wanted)
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
    found = state.read(topology.check_lab_name(name))
    return None if found is None else Lab(found)


def running_labs() -> list[Lab]:
    """Every lab that is up and healthy, by name."""
    labs = map(running, state.lab_names())
    return [lab for lab in labs if lab is not None]


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
        raise UsageProblem("a lab is taken down by root (sudo)")
    with state.lock(name, wait_s=LOCK_WAIT_S):
        return take_down(name)


def _bring_up(name: str, wanted: Topology, say: Say) -> state.LabState:
    needed_mb = wanted.director_memory_mb * len(wanted.directors)
    memory = uml.choose_memory_directory(name, needed_mb)
    starting = BringUp(name=name, topology=wanted, memory_directory=memory, say=say)
    try:
        return starting.run()
    except BaseException as error:
        say(f"lab {name!r}: undoing what was done")
        take_down(name)
        starting.reap()
        if isinstance(error, OSError):
            raise RunFailed(f"lab {name!r}: {error}") from error
        raise
