"""A lab of an ordinary user, where the machine allows user and network namespaces.

All labs of a user are inside one user, network and mount namespace, in which the user is root and
/run is private. A *holder* process keeps it; every command that deals with labs goes in there first
(``enter``) by becoming ``nsenter`` and then itself again. The holder goes with the last lab.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab.system.processes import Process, identify
from loadgen.lab.system.programs import one_line, search_path

HOLDER_LIMIT_S = 5.0
LOOK_INTERVAL_S = 0.02
INSIDE = "LOADGEN_ROOTLESS"
"""Environment variable: set for a command that runs inside."""
HOLDER_SCRIPT = "mount -t tmpfs -o mode=755 tmpfs /run && echo ready && exec sleep infinity"
UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount")


def is_inside() -> bool:
    """Whether this process is root only inside a user namespace: it can become nobody else."""
    try:
        words = Path("/proc/self/uid_map").read_text().split()
    except OSError:
        return False
    return len(words) == 3 and int(words[2]) == 1


def enter(*, start: bool = False) -> None:
    """For an ordinary user: go where the user's labs are, by starting this command again there.

    Returns only for root, and for a user without labs unless ``start``.

    Raises:
        UsageProblem: this machine allows no such namespaces; the line says what is missing.
    """
    if os.geteuid() == 0 or os.environ.get(INSIDE):
        return
    holder = _running_holder()
    if holder is None and start:
        holder = _start_holder()
    if holder is not None:
        _become_insider(holder)


def leave_if_empty(has_labs: bool) -> None:
    """End the holder once no lab is left; called inside."""
    if has_labs or not os.environ.get(INSIDE):
        return
    holder = _running_holder()
    path = _holder_file()
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()
    if holder is not None:
        with suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGKILL)


def _holder_file() -> Path:
    """Where the holder's number is; the user's real number is in the name."""
    uid = os.environ.get(INSIDE) or str(os.getuid())
    return Path(f"/tmp/loadgen-user-{uid}") / "holder"  # noqa: S108 - its owner is checked


def _running_holder() -> Process | None:
    """The holder process, if it runs and the file is the user's."""
    path = _holder_file()
    try:
        if path.parent.stat().st_uid != os.getuid() or path.parent.is_symlink():
            raise UsageProblem(f"{path.parent} belongs to somebody else: remove it")
        pid, started_ticks = map(int, path.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    process = Process(pid=pid, started_ticks=started_ticks)
    return process if process.is_alive else None


def _start_holder() -> Process:
    log = subprocess.PIPE
    try:
        started = subprocess.Popen(
            [*UNSHARE, "sh", "-c", HOLDER_SCRIPT],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            env={"PATH": search_path()},
        )
    except OSError as error:
        raise UsageProblem(_refusal(error.strerror or str(error))) from error
    assert started.stdout is not None
    line = started.stdout.readline()
    if line != "ready\n":
        raise UsageProblem(_refusal(one_line(line + started.stdout.read())))
    return _remember(started.pid)


def _remember(pid: int) -> Process:
    process = _until_known(pid)
    path = _holder_file()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(f"{process.pid} {process.started_ticks}\n")
    return process


def _until_known(pid: int) -> Process:
    deadline_s = time.monotonic() + HOLDER_LIMIT_S
    while time.monotonic() < deadline_s:
        process = identify(pid)
        if process is not None:
            return process
        time.sleep(LOOK_INTERVAL_S)
    raise RunFailed("the process that holds the namespaces of the user's labs has ended")


def _refusal(why: str) -> str:
    return (
        "a lab needs root (sudo), or user, network and mount namespaces for an ordinary user, "
        f"and these are not to be had here: {why}"
    )


def _become_insider(holder: Process) -> None:
    program = shutil.which("nsenter", path=search_path())
    if program is None:
        raise UsageProblem("nsenter is not installed: apt install util-linux")
    sys.stdout.flush()
    sys.stderr.flush()
    where = ["--target", str(holder.pid), "--user", "--net", "--mount", "--preserve-credentials"]
    directory = f"--wdns={Path.cwd()}"
    argv = [program, *where, directory, "--", sys.executable, *sys.orig_argv[1:]]
    environment = {**os.environ, INSIDE: str(os.getuid())}
    os.execve(program, argv, environment)  # noqa: S606 - this very command goes on in there
