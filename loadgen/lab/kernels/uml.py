"""A kernel of its own: one User-Mode Linux process, its memory a file that is unlinked at once."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.system.wiring import HUB, raw_name
from loadgen.lab.topology.model import Role, namespace, port_name

if TYPE_CHECKING:
    from loadgen.lab.kernels.images import KernelImage
    from loadgen.lab.topology.model import Host, Topology

MIB = 1024 * 1024
SERVER_MEMORY_MB = 96

QUICKER_BOOT = (
    "initcall_blacklist=raid6_select_algo",  # a benchmark of 0.9 s for a driver nobody uses here
    "pty.legacy_count=0",  # 256 device nodes of old, 0.4 s
)
"""Together they bring a boot from 1.8 s to 1.0 s (measured with initcall_debug)."""


def memory_mb(topology: Topology, host: Host) -> int:
    """How much memory a host's kernel has."""
    return topology.director_memory_mb if host.role is Role.DIRECTOR else SERVER_MEMORY_MB


def needed_mb(topology: Topology) -> int:
    """How much all kernels of a lab may come to hold."""
    hosts = [host for host in topology.hosts if topology.has_own_kernel(host)]
    return sum(memory_mb(topology, host) for host in hosts)


def command(
    lab_name: str,
    topology: Topology,
    host: Host,
    directory: Path,
    image: KernelImage,
    *,
    taps: bool = True,
) -> list[str]:
    """The command line; every word is explained by ``linux.uml --help`` or kernel-parameters.txt.

    KEY=value words unknown to the kernel become init's environment.
    """
    transport = (
        f"tap,ifname={port_name(host.name)}" if taps else f"raw,ifname={raw_name(host.name)}"
    )
    share = directory / host.name
    return [
        *("ip", "netns", "exec", namespace(lab_name, HUB)),
        *("prlimit", "--core=0", str(image.program)),  # a guest's panic would leave a core file
        f"mem={memory_mb(topology, host)}M",
        *("rootfstype=hostfs", "rootflags=/", "ro", "quiet", "noreboot"),
        *QUICKER_BOOT,
        f"umid={host.name}",
        f"uml_dir={directory}/uml/",
        f"vec0:transport={transport},depth=128,gro=1",
        *("con=null", "con0=fd:0,fd:1"),
        f"LG_NAME={host.name}",
        f"LG_SHARE={share}",
        f"LG_MODULES={image.modules}",
        *("init=/bin/sh", "--", f"{share}/init.sh"),
    ]


def choose_memory_directory(lab_name: str, wanted_mb: int) -> Path:
    """A new name below /dev/shm, or below TMPDIR when /dev/shm is small or forbids execution.

    Containers give /dev/shm 64 MB and ``noexec``; User-Mode Linux needs to map its memory
    executable (arch/um/os-Linux/mem.c), and a full file system kills it with SIGBUS.

    Raises:
        UsageProblem: neither will do.
    """
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))  # noqa: S108 - a random name below it
    for place in places:
        if _suits(place, wanted_mb):
            return place / f"loadgen-{lab_name}-{secrets.token_hex(4)}"
    names = " nor ".join(map(str, places))
    raise UsageProblem(f"neither {names} has {wanted_mb} MB free for the directors' memory")


def _suits(place: Path, wanted_mb: int) -> bool:
    try:
        filesystem = os.statvfs(place)
    except OSError:
        return False
    return (
        not filesystem.f_flag & os.ST_NOEXEC
        and filesystem.f_bavail * filesystem.f_frsize >= wanted_mb * MIB
    )
