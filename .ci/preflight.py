"""Can a lab run here? One clear line for each thing that is in the way; nothing is changed.

`look` gathers what is to be known about the machine, the checks are pure functions of it.
"""

from __future__ import annotations

import ctypes
import ipaddress
import mmap
import os
import platform
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

LAB_NETWORK = ipaddress.IPv4Network("192.168.10.0/24")
MEMORY_MB = 256
"""Two directors of 128 MB."""
PTRACE_TRACEME, PTRACE_DETACH = 0, 17


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the checks want to know about this machine."""

    machine: str  # as `uname -m` has it
    apt: bool  # apt-get and dpkg-query are there
    root: str  # how to become root: "is", "sudo", "sudo-asks" (and nobody can answer), "no"
    tun: str  # what is wrong with /dev/net/tun; "" if nothing
    ptrace: str  # what forbids ptrace; "" if nothing
    memory: tuple[tuple[str, str], ...]  # (directory, why the directors' memory does not fit; "")
    networks: tuple[ipaddress.IPv4Network, ...]  # addresses and routes of this network namespace


def look() -> Host:
    """Ask this machine."""
    root = way_to_root()
    return Host(
        machine=platform.machine(),
        apt=all(map(shutil.which, ("apt-get", "dpkg-query"))),
        root=root,
        tun=tun_trouble(Path("/dev/net/tun"), as_root=root == "is"),
        ptrace=ptrace_trouble(read("/proc/sys/kernel/yama/ptrace_scope"), as_root=root == "is"),
        memory=look_at_memory(),
        networks=tuple(used_networks(read("/proc/net/fib_trie"))),
    )


def problems(host: Host, *, lab: bool, install: bool) -> list[str]:
    """A line for everything that is in the way of a lab, or of installing."""
    lines: list[str | None] = []
    if install:
        lines.append(no_apt(host))
    if lab:
        lines += [wrong_machine(host), no_tun(host), no_ptrace(host), no_memory(host)]
        lines.append(network_in_use(host))
    if lab or install:
        lines.append(no_root(host))
    return [line for line in lines if line is not None]


def notes(host: Host) -> list[str]:
    """What is not in the way, but good to know."""
    (first, trouble), place = host.memory[0], first_fit(host.memory)
    if place in (None, first):
        return []
    return [f"{first} {trouble}: the directors' memory goes to {place} (TMPDIR)"]


def wrong_machine(host: Host) -> str | None:
    """User-Mode Linux exists for x86 alone, and Debian's package for amd64."""
    if host.machine in ("x86_64", "amd64"):
        return None
    return f"this machine is {host.machine}: User-Mode Linux, the lab's directors, needs amd64"


def no_apt(host: Host) -> str | None:
    """Packages come by apt."""
    if host.apt:
        return None
    return "there is no apt-get and dpkg here: the set-up needs Debian or a system like it"


def no_root(host: Host) -> str | None:
    """Installing and the lab need root."""
    return {
        "no": "you are not root and there is no sudo: installing and the lab need one of them",
        "sudo-asks": "sudo wants a password and there is no terminal to ask on: run as root,"
        " or allow sudo without a password",
    }.get(host.root)


def no_tun(host: Host) -> str | None:
    """Each director is wired up by a tap."""
    return f"/dev/net/tun {host.tun}: the directors' network needs it" if host.tun else None


def no_ptrace(host: Host) -> str | None:
    """A User-Mode Linux runs its programs under ptrace."""
    return f"ptrace is forbidden ({host.ptrace}): User-Mode Linux needs it" if host.ptrace else None


def no_memory(host: Host) -> str | None:
    """A director's memory is a file that it maps."""
    if first_fit(host.memory) is not None:
        return None
    seen = ", ".join(f"{place} {trouble}" for place, trouble in host.memory)
    return f"no room for the directors' memory: {seen}; set TMPDIR to a directory that does"


def first_fit(memory: tuple[tuple[str, str], ...]) -> str | None:
    """The first directory that will do."""
    return next((place for place, trouble in memory if not trouble), None)


def network_in_use(host: Host) -> str | None:
    """The lab's addresses must not mean something else here."""
    taken = [str(network) for network in host.networks if network.overlaps(LAB_NETWORK)]
    if not taken:
        return None
    return f"{LAB_NETWORK}, the lab's network, is in use on this host: {', '.join(taken)}"


def read(path: str) -> str:
    """A file's text; "" if it is not there or not for us."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def way_to_root() -> str:
    """How we become root; see Host.root."""
    if os.geteuid() == 0:
        return "is"
    if shutil.which("sudo") is None:
        return "no"
    quiet = subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True)
    return "sudo" if quiet.returncode == 0 or has_terminal() else "sudo-asks"


def has_terminal() -> bool:
    """Whether sudo could ask for a password (it asks on /dev/tty, wherever stdin comes from)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def tun_trouble(device: Path, *, as_root: bool) -> str:
    """What is wrong with the tun device: opening it may be forbidden though it is there."""
    try:
        if not stat.S_ISCHR(device.stat().st_mode):
            return "is not a device"
        if as_root:
            os.close(os.open(device, os.O_RDWR))
    except FileNotFoundError:
        return "is missing (modprobe tun; in a container: --device /dev/net/tun)"
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    return ""


def ptrace_trouble(scope: str, *, as_root: bool) -> str:
    """What forbids ptrace: Yama, for good, or whatever else (seccomp in a container)."""
    if scope.strip() == "3":
        return "kernel.yama.ptrace_scope is 3, until the next boot"
    if scope.strip() == "2" and not as_root:
        return ""  # for root only: the lab runs as root, we cannot try it from here
    return "" if can_ptrace() else "a child that asked to be traced was refused; seccomp?"


def can_ptrace() -> bool:
    """Try it: a child asks to be traced and stops itself; the parent must see the stop."""
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(PTRACE_TRACEME, 0, None, None) != 0:
            os._exit(1)
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    _, status = os.waitpid(child, 0)  # without the option to see stops: only a tracer sees one
    if not os.WIFSTOPPED(status):
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def look_at_memory() -> tuple[tuple[str, str], ...]:
    """Where a lab may put the directors' memory, best first."""
    places = ("/dev/shm", os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - as the lab chooses
    return tuple((place, memory_trouble(place)) for place in places)


def memory_trouble(place: str) -> str:
    """Why a directory does not do: too little room, or files in it cannot be mapped to run."""
    try:
        free_mb = shutil.disk_usage(place).free >> 20
        if free_mb < MEMORY_MB:
            return f"has {free_mb} MB free, {MEMORY_MB} are needed"
        with tempfile.TemporaryFile(dir=place) as file:
            file.truncate(mmap.PAGESIZE)
            mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()
    except OSError as error:
        return f"does not do ({error.strerror}; is it mounted noexec?)"
    return ""


def used_networks(fib_trie: str) -> list[ipaddress.IPv4Network]:
    """Every address and route of a /proc/net/fib_trie, once, without default routes.

    A leaf is `|-- 10.1.2.0` and below it, for each prefix length, `/24 link UNICAST`. A default
    route may also be written as two halves (0.0.0.0/1 and 128.0.0.0/1), as VPNs do.
    """
    found: dict[ipaddress.IPv4Network, None] = {}
    leaf = ""
    for line in fib_trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif len(words) >= 3 and words[0].startswith("/") and words[2] in ("UNICAST", "LOCAL"):
            network = ipaddress.IPv4Network(leaf + words[0], strict=False)
            if network.prefixlen > 1:
                found[network] = None
    return list(found)
