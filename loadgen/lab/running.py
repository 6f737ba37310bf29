"""A lab that is up, as its hosts and their faults use it (``loadgen.lab.lab.Lab`` is one)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from loadgen.lab.hosts.machines import Machines
    from loadgen.lab.state import LabState
    from loadgen.lab.topology.model import Topology


class RunningLab(Protocol):
    """What a host needs of its lab to run commands and to do faults."""

    name: str

    @property
    def topology(self) -> Topology:
        """What the lab is made of."""

    @property
    def state(self) -> LabState:
        """What is known of the lab since it came up or was last changed from here."""

    @property
    def directory(self) -> Path:
        """The lab's files."""

    @property
    def machines(self) -> Machines:
        """How its hosts are made."""

    def refresh(self) -> None:
        """Learn what other processes have changed."""

    def remember(self, changed: LabState) -> None:
        """Write a change down; the caller holds the lab's lock."""

    def command(self, host_name: str, argv: Sequence[str]) -> Sequence[str]:
        """The command line that runs ``argv`` on a host."""

    def run(
        self,
        host_name: str,
        argv: Sequence[str],
        *,
        text: str | None = None,
        limit_s: float = ...,
        check: bool = ...,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host and collect what it prints."""
