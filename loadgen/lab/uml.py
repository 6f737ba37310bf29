"""A director's kernel: one User-Mode Linux process, its memory a file that is unlinked at once."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab.processes import Process, identify
from loadgen.lab.programs import MARK, one_line, search_path
from loadgen.lab.topology import port_name

MIB = 1024 * 1024
PROGRAM = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
INIT = Path(__file__).with_name("init.sh")
INIT_GAVE_UP = "loadgen-lab: "
"""How init.sh begins its last line when it cannot go on."""

QUICKER_BOOT = (
    "initcall_blacklist=raid6_select_algo",  # a benchmark of 0.9 s for a driver nobody uses here
    "pty.legacy_count=0",  # 256 device nodes of old, 0.4 s
)
"""Together they bring a boot from 1.8 s to 1.0 s (measured with initcall_debug)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """All that one director's process is started with."""

    lab_name: str
    host_name: str
    hub_namespace: str
    directory: Path  # the lab's; the director's share is below it
    memory_directory: Path
    memory_mb: int

    @property
    def share(self) -> Path:
        """The directory that the guest mounts on /run/lab."""
        return self.directory / self.host_name

    @property
    def console_log(self) -> Path:
        """What the guest's kernel and its init print."""
        return self.share / "console.log"


def command(guest: Guest) -> list[str]:
    """The command line; every word is explained by ``linux.uml --help`` or kernel-parameters.txt.

    KEY=value words unknown to the kernel become init's environment.
    """
    return [
        *("ip", "netns", "exec", guest.hub_namespace),
        *("prlimit", "--core=0", PROGRAM),  # a guest's panic would leave a core file
        f"mem={guest.memory_mb}M",
        *("rootfstype=hostfs", "rootflags=/", "ro", "quiet", "noreboot"),
        *QUICKER_BOOT,
        f"umid={guest.host_name}",
        f"uml_dir={guest.directory}/uml/",
        f"vec0:transport=tap,ifname={port_name(guest.host_name)},depth=128,gro=1",
        *("con=null", "con0=fd:0,fd:1"),
        f"LG_NAME={guest.host_name}",
        f"LG_SHARE={guest.share}",
        *("init=/bin/sh", "--", f"{guest.share}/init.sh"),
    ]


def start(guest: Guest) -> Process:
    """Start the kernel in a session of its own, so that a Ctrl-C in the terminal passes it by.

    Not by ``subprocess``: the process outlives this one, and nobody waits for it.
    """
    argv = command(guest)
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        shutil.which(argv[0], path=search_path()) or argv[0],
        argv,
        _environment(guest),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(guest.console_log), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
    )
    process = identify(pid)
    if process is None:
        raise ended_early(guest)
    return process


def ended_early(guest: Guest) -> RunFailed:
    """The error of a director whose process is gone: what its console said last.

    If its init gave up, that is what it said then; the kernel's farewell after it tells nothing.
    """
    try:
        printed = guest.console_log.read_text(errors="replace")
    except OSError:
        printed = ""
    before, gave_up, after = printed.partition(INIT_GAVE_UP)
    said = before + after.partition("\n")[0]
    last = 2 if gave_up else 3
    return RunFailed(f"director {guest.host_name}: {PROGRAM} ended: {one_line(said, last=last)}")


def choose_memory_directory(lab_name: str, needed_mb: int) -> Path:
    """A new name below /dev/shm, or below TMPDIR when /dev/shm is small or forbids execution.

    Containers give /dev/shm 64 MB and ``noexec``; User-Mode Linux needs to map its memory
    executable (arch/um/os-Linux/mem.c), and a full file system kills it with SIGBUS.

    Raises:
        UsageProblem: neither will do.
    """
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))  # noqa: S108 - a random name below it
    for place in places:
        if _suits(place, needed_mb):
            return place / f"loadgen-{lab_name}-{secrets.token_hex(4)}"
    names = " nor ".join(map(str, places))
    raise UsageProblem(f"neither {names} has {needed_mb} MB free for the directors' memory")


def prepare_share(guest: Guest, files: dict[str, str]) -> None:
    """Write the director's share: its settings, the lab's host key, who may log in, its init."""
    guest.share.mkdir()
    for name, content in files.items():
        guest.share.joinpath(name).write_text(content)
    shutil.copyfile(INIT, guest.share / "init.sh")
    shutil.copyfile(guest.directory / "client_key.pub", guest.share / "authorized_keys")
    shutil.copy(guest.directory / "host_key", guest.share / "host_key")  # with its mode, 0600


def reap(process: Process) -> None:
    """Take the exit status of a child that has ended, if it was this process's child."""
    try:
        os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        return


def _environment(guest: Guest) -> dict[str, str]:
    return {
        "PATH": search_path(),
        "HOME": str(guest.directory),
        "TMPDIR": str(guest.memory_directory),
        MARK: guest.lab_name,
    }


def _suits(place: Path, needed_mb: int) -> bool:
    try:
        found = os.statvfs(place)
    except OSError:
        return False
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= needed_mb * MIB
