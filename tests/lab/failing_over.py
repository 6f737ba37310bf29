"""``loadgen failover`` in a lab, run again where this machine stood still meanwhile.

Such a run says itself that it measured nothing (exit code 1), and is no fault of what is tested.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.delays import Delays, measured_delays

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.lab.lab import Lab

LOADGEN = Path(sys.executable).parent / "loadgen"
VIP = "192.168.10.2"
LIMIT_S = 90.0
TRIES = 3
STOOD_STILL = "the client itself stood still"


@dataclass(frozen=True)
class FailedOver:
    """A run: its lab, JSON, words and directory, and how long the new master took to answer."""

    lab: Lab
    document: Any
    said: str
    directory: Path
    delays: Delays


def failed_over(lab_for: Callable[[], Lab], folder: Path, *flags: str) -> FailedOver:
    """The first run that this machine did not spoil, each in the lab that is given for it."""
    for number in range(TRIES):
        run = _failed_over(lab_for(), folder / str(number), *flags)
        if STOOD_STILL not in (_why_invalid(run) or ""):
            break
    assert run.document["failover"]["valid"], _why_invalid(run)
    return run


def _why_invalid(run: FailedOver) -> str | None:
    why: str | None = run.document["failover"]["why_invalid"]
    return why


def _failed_over(lab: Lab, directory: Path, *flags: str) -> FailedOver:
    options = ("--lab", lab.name, "--json", "-o", str(directory))
    with measured_delays(lab, "bal02") as delays:
        done = subprocess.run(
            [str(LOADGEN), "failover", "--vip", VIP, *options, *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert (done.returncode == 0) == (document["failover"]["why_invalid"] is None), done.stderr
    return FailedOver(lab, document, done.stderr, directory, delays)
