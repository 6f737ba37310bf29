"""A fault and its undoing: one of the lab's own, or commands of the operator's."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from loadgen.errors import RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.lab.lab import Lab

UNDONE_BY: Mapping[str, str] = {
    "link-down": "link-up",
    "unplug": "replug",
    "crash": "boot",
    "keepalived-stop": "keepalived-start",
    "keepalived-kill": "keepalived-start",
    "nginx-stop": "nginx-start",
}
"""What puts each of the lab's faults right."""

UNDOING_TAKES_S: Mapping[str, float] = {"crash": 6.0}
"""A kernel that boots."""

COMMAND_LIMIT_S = 60.0


class Fault(Protocol):
    """Something to be done to a director, and undone."""

    @property
    def name(self) -> str:
        """For the report, such as ``bal01: link-down``."""

    @property
    def where(self) -> str | None:
        """The host that it befalls; None where that is not known."""

    @property
    def undoable(self) -> bool:
        """Whether it can be undone."""

    @property
    def undoing_s(self) -> float:
        """How long that may take."""

    async def do(self) -> None:
        """Do it.

        Raises:
            RunFailed: it could not be done.
        """

    async def undo(self) -> None:
        """Put it right; raises as ``do``."""


@dataclass(frozen=True, slots=True)
class LabFault:
    """One of the lab's own; the lab writes it down as an event."""

    lab: Lab
    host: str
    kind: str

    @property
    def name(self) -> str:
        """The host and the kind."""
        return f"{self.host}: {self.kind}"

    @property
    def where(self) -> str:
        """The host."""
        return self.host

    @property
    def undoable(self) -> bool:
        """Every one is."""
        return True

    @property
    def undoing_s(self) -> float:
        """Longer for a boot."""
        return UNDOING_TAKES_S.get(self.kind, 1.0)

    async def do(self) -> None:
        """Inflict it."""
        await self._inflict(self.kind)

    async def undo(self) -> None:
        """Inflict its opposite."""
        await self._inflict(UNDONE_BY[self.kind])

    async def _inflict(self, kind: str) -> None:
        from loadgen.lab.faults.faults import inflict

        await asyncio.to_thread(inflict, self.lab, self.host, kind)


@dataclass(frozen=True, slots=True)
class CommandFault:
    """The operator's command, and the one that undoes it, each an argument list: no shell."""

    argv: tuple[str, ...]
    undo_argv: tuple[str, ...]

    @property
    def name(self) -> str:
        """The command, as typed."""
        return shlex.join(self.argv)

    @property
    def where(self) -> None:
        """The operator's own business."""

    @property
    def undoable(self) -> bool:
        """Where the operator said how."""
        return bool(self.undo_argv)

    @property
    def undoing_s(self) -> float:
        """Not known."""
        return 1.0

    async def do(self) -> None:
        """Run the command."""
        await _run(self.argv)

    async def undo(self) -> None:
        """Run the other."""
        await _run(self.undo_argv)


async def _run(argv: tuple[str, ...]) -> None:
    """Run a command to its end; what it prints is the operator's to see."""
    try:
        process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL)
    except OSError as error:
        raise RunFailed(f"{shlex.join(argv)}: {error.strerror}") from error
    try:
        code = await asyncio.wait_for(process.wait(), COMMAND_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RunFailed(f"{shlex.join(argv)}: no end after {COMMAND_LIMIT_S:g} s") from None
    if code != 0:
        raise RunFailed(f"{shlex.join(argv)}: exit code {code}")


def lab_fault(lab: Lab, spec: str) -> LabFault:
    """``HOST:KIND`` of a running lab.

    Raises:
        UsageProblem: no such host or kind, or one that undoes another.
    """
    host, colon, kind = spec.partition(":")
    if not colon or kind not in UNDONE_BY:
        kinds = ", ".join(UNDONE_BY)
        raise UsageProblem(f"--fault {spec}: expected HOST:KIND, the kind one of {kinds}")
    return LabFault(lab, lab.topology.host(host).name, kind)


def command_fault(command: str, undo: str | None) -> CommandFault:
    """Commands as an operator types them.

    Raises:
        UsageProblem: quotes that do not end, or nothing in them.
    """
    return CommandFault(
        _words("--fault-command", command), _words("--undo-command", undo) if undo else ()
    )


def _words(flag: str, text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageProblem(f"{flag} {text}: {error}") from error
    if not words:
        raise UsageProblem(f"{flag}: expected a command")
    return words
