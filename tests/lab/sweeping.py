"""Starting commands on a lab's directors, and the timeouts that are in force there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from analyzer.ipvs.proc.formats import parse_timeouts
from analyzer.ipvs.states import Timeouts
from loadgen.director.links.clients import director_client
from loadgen.director.links.link import Link
from loadgen.director.timeouts import journal
from loadgen.director.timeouts.present import identity_of

if TYPE_CHECKING:
    from loadgen.lab.lab import Lab

BIN = Path(sys.executable).parent
LIMIT_S = 120.0
VIP = "192.168.10.2"


def start(lab: Lab, state: Path, command: str, *flags: str) -> subprocess.Popen[str]:
    """A command on the lab's VIP, its journals in a folder of its own."""
    return begin(lab, state, command, "--vip", VIP, *flags)


def begin(lab: Lab, state: Path, command: str, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / "loadgen"), command, "--lab", lab.name, *flags],
        env=with_state(state),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def with_state(state: Path) -> dict[str, str]:
    """This environment, with journals in a folder of their own."""
    return {**os.environ, "XDG_STATE_HOME": str(state)}


def end_after(words: str, process: subprocess.Popen[str]) -> None:
    """End a command once it has said these words; also one that ignores Ctrl-C."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            process.terminate()
            break
    process.communicate(timeout=LIMIT_S)
    assert words in "".join(said[-1:]), said


def leave_tcpfin(lab: Lab, state: Path, seconds: int) -> str:
    """Leave the first director as a sweep does that is killed; its name."""
    name = lab.director_names[0]
    link = Link(name=name, kind="exec", spec=name, argv=tuple(lab.command(name, ["sh"])))
    before, left = Timeouts(), Timeouts(tcpfin_s=seconds)
    with mock.patch.dict(os.environ, {"XDG_STATE_HOME": str(state)}):
        journal.write(
            journal.Owed(
                director=name,
                identity=asyncio.run(_identity(link)),
                before=before,
                ours=(before, left),
                since="2026-11-22 12:00:00 UTC",
                by_hand="ipvsadm --set 0 120 0",
            )
        )
    lab.directors[name].run("ipvsadm", "--set", "0", str(seconds), "0")
    return name


async def _identity(link: Link) -> str:
    client = director_client(link)
    await client.open()
    try:
        return await identity_of(client)
    finally:
        await client.close()


def present(lab: Lab) -> dict[str, Timeouts | None]:
    """The timeouts that are in force on each director."""
    return {
        name: parse_timeouts(host.run("ipvsadm", "-L", "--timeout").stdout)
        for name, host in lab.directors.items()
    }
