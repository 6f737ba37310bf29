"""What a lab needs of the machine, checked before anything is changed; one clear line each."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab import uml
from loadgen.lab.programs import search_path

if TYPE_CHECKING:
    from collections.abc import Iterator

TUN = Path("/dev/net/tun")

PACKAGES = {
    uml.PROGRAM: "user-mode-linux",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "prlimit": "util-linux",
    "modprobe": "kmod",
    "keepalived": "keepalived",
    "ipvsadm": "ipvsadm",
    "nginx": "nginx-light",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
"""Program -> the Debian package that has it."""


def check() -> None:
    """Raise the first problem found.

    Raises:
        UsageProblem: this user or this machine cannot run a lab; the line says what is missing.
    """
    for problem in problems():
        raise UsageProblem(problem)


def problems() -> Iterator[str]:
    """One line for each thing that is missing."""
    if os.geteuid() != 0:
        yield "a lab makes network namespaces and taps: run it as root (sudo)"
    yield from missing_programs()
    if not (TUN.exists() and stat.S_ISCHR(TUN.stat().st_mode)):
        yield f"{TUN} is missing: the directors' network needs it (modprobe tun)"
    if not uml.MODULES.is_dir():
        yield f"{uml.MODULES} is missing: install the package user-mode-linux"


def missing_programs() -> Iterator[str]:
    """One line for each program that is not in PATH or the system directories."""
    for program, package in PACKAGES.items():
        if shutil.which(program, path=search_path()) is None:
            yield f"{program} is not installed: apt install {package}"
