"""A lab of an ordinary user, where the machine allows user and network namespaces.

All labs of a user are inside one user, network and mount namespace, in which the user is root and
/run is private. A *holder* process keeps it; every command that deals with labs goes in there first
(``enter``) by becoming ``nsenter`` and then itself again. The holder goes with the last lab.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
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
HOLDER_VARIABLE = "LOADGEN_ROOTLESS_HOLDER"
"""Environment variable: the holder's number, start and file, for a command that runs inside."""
HOLDER_FILE = "holder"
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
    holder = running_holder()
    if holder is None and start:
        holder = _start_holder()
    if holder is not None:
        _become_insider(*holder)


def leave_if_empty(has_labs: bool) -> None:
    """End the holder once no lab is left; called inside."""
    if has_labs or not os.environ.get(INSIDE):
        return
    inherited = _inherited_holder()
    if inherited is None:
        return
    process, file = inherited
    with suppress(OSError):  # below /run, which is another inside, it stays
        file.unlink(missing_ok=True)
        file.parent.rmdir()
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def _inherited_holder() -> tuple[Process, Path] | None:
    """The holder, if it runs, and its file: as this command knew them before it went inside."""
    numbers = os.environ.get(HOLDER_VARIABLE, "").split(" ", 2)
    if len(numbers) != 3:
        return None
    process = Process(pid=int(numbers[0]), started_ticks=int(numbers[1]))
    return (process, Path(numbers[2])) if process.is_alive else None


def running_holder() -> tuple[Process, Path] | None:
    """The holder, if it runs, and its file; called outside."""
    for directory in _directories():
        file = directory / HOLDER_FILE
        try:
            pid, started_ticks = map(int, file.read_text().split())
        except (OSError, ValueError):
            continue
        process = Process(pid=pid, started_ticks=started_ticks)
        if process.is_alive:
            return process, file
    return None


def _directories() -> list[Path]:
    """Where a holder's number may be: the user's own directories, which nobody else writes to."""
    shared = Path("/tmp")  # noqa: S108 - the owner of each directory is checked
    name = f"loadgen-user-{os.getuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    below_runtime = [Path(runtime) / "loadgen"] if runtime.startswith("/") else []
    candidates = [*below_runtime, shared / name, *sorted(shared.glob(f"{name}-*"))]
    return [path for path in candidates if _is_ours(path)]


def _make_directory() -> Path:
    """A directory of the user's own; of another name where somebody else has made it in /tmp."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and _is_ours(Path(runtime)):
        made = Path(runtime) / "loadgen"
        made.mkdir(mode=0o700, exist_ok=True)
        return made
    name = f"loadgen-user-{os.getuid()}"
    made = Path("/tmp") / name  # noqa: S108 - its owner is checked
    with suppress(FileExistsError):
        made.mkdir(mode=0o700)
    return made if _is_ours(made) else Path(tempfile.mkdtemp(prefix=f"{name}-", dir=made.parent))


def _is_ours(directory: Path) -> bool:
    """Whether it is a directory of this user's that nobody else may write to."""
    try:
        known = directory.lstat()
    except OSError:
        return False
    is_private = not known.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(known.st_mode) and known.st_uid == os.getuid() and is_private


def _start_holder() -> tuple[Process, Path]:
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
    return remember(started.pid)


def remember(pid: int) -> tuple[Process, Path]:
    """The holder of a process number, and the file that it was written to."""
    process = _until_known(pid)
    file = _make_directory() / HOLDER_FILE
    file.write_text(f"{process.pid} {process.started_ticks}\n")
    return process, file


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


def _become_insider(holder: Process, file: Path) -> None:
    program = shutil.which("nsenter", path=search_path())
    if program is None:
        raise UsageProblem("nsenter is not installed: apt install util-linux")
    sys.stdout.flush()
    sys.stderr.flush()
    where = ["--target", str(holder.pid), "--user", "--net", "--mount", "--preserve-credentials"]
    directory = f"--wdns={Path.cwd()}"
    argv = [program, *where, directory, "--", sys.executable, *sys.orig_argv[1:]]
    known = f"{holder.pid} {holder.started_ticks} {file}"
    environment = {**os.environ, INSIDE: str(os.getuid()), HOLDER_VARIABLE: known}
    os.execve(program, argv, environment)  # noqa: S606 - this very command goes on in there
