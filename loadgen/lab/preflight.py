"""What a lab needs of the machine, checked before anything is changed; one clear line each."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab import uml
from loadgen.lab.programs import search_path
from loadgen.lab.topology import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadgen.lab.topology import Topology

PACKAGES_OF_ANY_LAB = {
    "ip": "iproute2",
    "ethtool": "ethtool",
    "prlimit": "util-linux",
    "unshare": "util-linux",
    "modprobe": "kmod",
    "keepalived": "keepalived",
    "ipvsadm": "ipvsadm",
    "nginx": "nginx-light",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
"""Program -> the Debian package that has it."""
PACKAGES = {uml.PROGRAM: "user-mode-linux", **PACKAGES_OF_ANY_LAB}


def check(wanted: Topology) -> None:
    """Raise the first problem found.

    Raises:
        UsageProblem: this user or this machine cannot run a lab; the line says what is missing.
    """
    for problem in problems(wanted):
        raise UsageProblem(problem)


def problems(wanted: Topology) -> Iterator[str]:
    """One line for each thing that is missing."""
    if os.geteuid() != 0:
        yield "a lab makes network namespaces and taps: run it as root (sudo)"
    own_kernels = wanted.kernel is not Kernel.HOST
    yield from missing_programs(PACKAGES if own_kernels else PACKAGES_OF_ANY_LAB)
    if own_kernels:
        yield from missing_for_own_kernels()


def missing_for_own_kernels() -> Iterator[str]:
    """One line for each thing that User-Mode Linux needs, programs apart."""
    if not uml.MODULES.is_dir():
        yield f"{uml.MODULES} is missing: install the package user-mode-linux"


def missing_programs(packages: Mapping[str, str]) -> Iterator[str]:
    """One line for each program that is not in PATH or the system directories."""
    for program, package in packages.items():
        if shutil.which(program, path=search_path()) is None:
            yield f"{program} is not installed: apt install {package}"
