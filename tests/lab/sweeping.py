"""Starting commands on a lab's directors, and the timeouts that are in force there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.ipvs.formats import parse_timeouts

if TYPE_CHECKING:
    from analyzer.ipvs.states import Timeouts
    from loadgen.lab.lab import Lab

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"


def start(lab: Lab, state: Path, command: str, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / "loadgen"), command, "--vip", VIP, "--lab", lab.name, *flags],
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def present(lab: Lab) -> dict[str, Timeouts | None]:
    """The timeouts that are in force on each director."""
    return {
        name: parse_timeouts(host.run("ipvsadm", "-L", "--timeout").stdout)
        for name, host in lab.directors.items()
    }
