"""What a lab needs of the machine, checked before anything is changed; one clear line each."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.hosts import netfilter
from loadgen.lab.kernels import fetch, images
from loadgen.lab.system.programs import search_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadgen.lab.kernels.images import Say
    from loadgen.lab.topology.model import Topology

PACKAGES = {
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

RULES_PACKAGES = {
    "nftables": {"nft": "nftables", "conntrack": "conntrack"},
    "iptables": {"iptables-legacy-restore": "iptables", "conntrack": "conntrack"},
}
"""What directors without IPVS need besides, by their kind."""


def check(topology: Topology, say: Say) -> None:
    """Raise the first problem found; kernel images that are not here are fetched.

    Raises:
        UsageProblem: this user or this machine cannot run a lab; the line says what is missing.
    """
    for problem in problems(topology):
        raise UsageProblem(problem)
    with_kernel = [host for host in topology.hosts if topology.has_own_kernel(host)]
    for specification in dict.fromkeys(topology.kernel_image(host) for host in with_kernel):
        fetch.provide(specification, say)
        if not topology.has_ipvs:
            _check_image(topology.director_kind, specification)


def _check_image(director_kind: str, specification: str) -> None:
    """Refuse a kernel image that cannot translate by rules of a kind."""
    module = netfilter.PROVES[director_kind]
    image = images.find(specification)
    if image is not None and not images.has_module(image, module):
        raise UsageProblem(
            f"User-Mode Linux {specification or 'as installed'} has no {module}: a director by "
            f"{director_kind} needs this machine's own kernel (--kernel host) or another image"
        )


def problems(topology: Topology) -> Iterator[str]:
    """One line for each thing that is missing."""
    if os.geteuid() != 0:
        yield "a lab makes network namespaces and taps: run it as root (sudo)"
    yield from missing_programs(PACKAGES | RULES_PACKAGES.get(topology.director_kind, {}))


def missing_programs(packages: Mapping[str, str]) -> Iterator[str]:
    """One line for each program that is not in PATH or the system directories."""
    for program, package in packages.items():
        if shutil.which(program, path=search_path()) is None:
            yield f"{program} is not installed: apt install {package}"
