"""A host that is a process and its helpers: it has a share, takes orders, and ends by SIGKILL.

That is a kernel of its own, or a director as a namespace on the machine's kernel.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loadgen.errors import RunFailed
from loadgen.lab.kernels.images import PROGRAM
from loadgen.lab.system.processes import Process, identify
from loadgen.lab.system.programs import MARK, one_line, search_path

HERE = Path(__file__).parent
SCRIPTS = ("init.sh", "namespace.sh", "boot.sh", "echo.py")
CONSOLE_LINES = 10
"""How many of a console's last lines are shown when its host does not boot."""
GAVE_UP = "loadgen-lab: "
"""How a host's script begins its last line when it cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProcess:
    """All that one host's process is started with.

    Attributes:
        directory: the lab's; the share is below it.
        memory_directory: where a kernel of its own keeps its memory.
        argv: the command line.
    """

    lab_name: str
    host_name: str
    directory: Path
    memory_directory: Path
    argv: list[str]

    @property
    def share(self) -> Path:
        """The directory that the host sees as /run/lab."""
        return self.directory / self.host_name

    @property
    def console_log(self) -> Path:
        """What the host's kernel and its script print."""
        return self.share / "console.log"

    @property
    def orders(self) -> Path:
        """A named pipe: what the host's script reads (``control.py``)."""
        return self.share / "orders"

    @property
    def ready_file(self) -> Path:
        """Made by the host's script when everything in it has been started."""
        return self.share / "ready"


def prepare_share(machine: HostProcess, files: dict[str, str]) -> None:
    """Write the share: the host's settings, the lab's host key, who may log in, its scripts."""
    machine.share.mkdir()
    for name, content in files.items():
        machine.share.joinpath(name).write_text(content)
    for script in SCRIPTS:
        shutil.copyfile(HERE / script, machine.share / script)
    shutil.copyfile(machine.directory / "client_key.pub", machine.share / "authorized_keys")
    shutil.copy(machine.directory / "host_key", machine.share / "host_key")  # with its mode, 0600
    tools = machine.share / "bin"
    tools.mkdir()
    shutil.copyfile(shutil.which("mount", path=search_path()) or "/bin/mount", tools / "mount")
    tools.joinpath("mount").chmod(0o755)  # and not set-uid (init.sh)
    os.mkfifo(machine.orders, 0o600)


def start(machine: HostProcess) -> Process:
    """Start it in a session of its own, so that a Ctrl-C in the terminal passes it by.

    Not by ``subprocess``: the process outlives this one, and nobody waits for it. Its standard
    input is both ends of the pipe, so that it never ends.
    """
    machine.ready_file.unlink(missing_ok=True)
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        shutil.which(machine.argv[0], path=search_path()) or machine.argv[0],
        machine.argv,
        _environment(machine),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, str(machine.orders), os.O_RDWR, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(machine.console_log), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    )
    process = identify(pid)
    if process is None:
        raise ended_early(machine)
    return process


def ended_early(machine: HostProcess) -> RunFailed:
    """The error of a host whose process has ended, with the last lines of its console.

    If its script gave up, its reason; the kernel's last lines after it explain nothing.
    """
    try:
        printed = machine.console_log.read_text(errors="replace")
    except OSError:
        printed = ""
    before, gave_up, after = printed.partition(GAVE_UP)
    text = before + after.partition("\n")[0]
    programs = (Path(word).name for word in machine.argv if word.endswith(PROGRAM))
    program = next(programs, "its process")
    last = 2 if gave_up else 3
    return RunFailed(f"{machine.host_name}: {program} ended: {one_line(text, last=last)}")


def keep_console_log(machine: HostProcess) -> list[str] | None:
    """Copy a console's log to where it outlives the lab.

    Returns:
        Its last lines and where it is kept, to be shown; None if there is none.
    """
    try:
        printed = machine.console_log.read_text(errors="replace")
        name = f"loadgen-{machine.lab_name}-{machine.host_name}-"
        handle, path = tempfile.mkstemp(prefix=name, suffix=".console.log")
        with os.fdopen(handle, "w") as copy:
            copy.write(printed)
    except OSError:
        return None
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()][-CONSOLE_LINES:]
    shown = [f"  {machine.host_name}| {printable(line)}" for line in lines]
    return [*shown, f"{machine.host_name}: its console is kept in {path}"]


def printable(text: str) -> str:
    """A console's line without its control characters, cut at 200."""
    return "".join(character for character in text[:200] if character.isprintable())


def reap(process: Process) -> None:
    """Take the exit status of a child that has ended, if it was this process's child."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def _environment(machine: HostProcess) -> dict[str, str]:
    return {
        "PATH": search_path(),
        "HOME": str(machine.directory),
        "TMPDIR": str(machine.memory_directory),
        "LG_NAME": machine.host_name,
        "LG_SHARE": str(machine.share),
        MARK: machine.lab_name,
    }
