"""What a lab keeps on disk: one directory per lab below /run/loadgen, gone when it is down.

``state.json`` is written last, when the lab is up; a directory without it is a lab in the making or
what a killed one left. ``<name>.lock`` beside it lets one process at a time change a lab.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.errors import RunFailed
from loadgen.lab.system.processes import Process
from loadgen.lab.topology.model import LAB_NAME, Topology

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path("/run/loadgen")
SCHEMA_VERSION = 2
LOCK_LOOK_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """A lab that is up, as ``state.json`` has it.

    Attributes:
        kernel: what a director is made of: "uml" or "host".
        kernel_release: ``uname -r`` of the first director.
        started: UTC, ISO 8601.
        processes: of the hosts that are processes of their own.
        crashed: those of them that a fault has ended; that is no damage.
    """

    name: str
    topology: Topology
    kernel: str
    kernel_release: str
    started: str
    processes: Mapping[str, Process]
    crashed: tuple[str, ...] = ()

    @property
    def directors(self) -> Mapping[str, Process]:
        """The directors' processes."""
        names = [host.name for host in self.topology.directors]
        return {name: self.processes[name] for name in names}

    def to_json(self) -> str:
        """One JSON document; ``from_json`` is the way back."""
        processes = {
            name: {"pid": process.pid, "started_ticks": process.started_ticks}
            for name, process in self.processes.items()
        }
        document = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "kernel": self.kernel,
            "kernel_release": self.kernel_release,
            "started": self.started,
            "processes": processes,
            "crashed": list(self.crashed),
            "topology": self.topology.to_dict(),
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> LabState:
        """The state that ``to_json`` wrote.

        Raises:
            ValueError: the text is something else, or of another version of this program.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            if document.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError("another schema version")
            processes = {name: Process(**values) for name, values in document["processes"].items()}
            topology = Topology.from_dict(document["topology"])
            crashed = tuple(document["crashed"])
            changed = {"processes": processes, "topology": topology, "crashed": crashed}
            return cls(**{**document, **changed})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a lab's state: {error}") from error


def directory(lab_name: str) -> Path:
    """Where the lab keeps its files."""
    return ROOT / lab_name


def lab_names() -> list[str]:
    """Labs that have a directory, up or not; none for a user who may not look."""
    try:
        return sorted(path.name for path in ROOT.iterdir() if LAB_NAME.fullmatch(path.name))
    except (FileNotFoundError, PermissionError):
        return []


def create_directory(lab_name: str) -> Path:
    """Make the lab's directory, readable by root only: it will hold keys."""
    made = directory(lab_name)
    made.mkdir(mode=0o700)
    return made


def write(state: LabState) -> None:
    """Write ``state.json`` under another name, then rename it: it is there whole, or not."""
    path = directory(state.name) / "state.json"
    partial = path.with_suffix(".partial")
    partial.write_text(state.to_json())
    partial.replace(path)


def read(lab_name: str) -> LabState | None:
    """The state of a lab that was brought up; None if there is none that this user can read."""
    try:
        return LabState.from_json((directory(lab_name) / "state.json").read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
        return None


def remove(lab_name: str) -> None:
    """Remove the lab's directory, and the memory directory that it points to."""
    pointer = directory(lab_name) / "memory"
    with suppress(FileNotFoundError):
        memory = pointer.readlink()
        if memory.name.startswith(f"loadgen-{lab_name}-"):
            shutil.rmtree(memory)
    with suppress(FileNotFoundError):
        shutil.rmtree(directory(lab_name))


@contextmanager
def lock(lab_name: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Be the one process that changes the lab; the kernel lets go when the process ends.

    Raises:
        RunFailed: another process holds it, and still does after ``wait_s``.
    """
    path = ROOT / f"{lab_name}.lock"
    descriptor = _acquire(path, lab_name, time.monotonic() + wait_s)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # while held, so that nobody waits for a name that is gone
        os.close(descriptor)
        with suppress(OSError):
            ROOT.rmdir()  # not empty: other labs


def _acquire(path: Path, lab_name: str, deadline: float) -> int:
    while True:
        descriptor = _open_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "another process"
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise RunFailed(
                    f"lab {lab_name!r} is being brought up or down by process {holder}"
                ) from None
            time.sleep(LOCK_LOOK_INTERVAL_S)
            continue
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder removed the name meanwhile


def _open_lock(path: Path) -> int:
    while True:
        ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # the last lab's end took the directory away
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return status.st_ino == os.fstat(descriptor).st_ino
