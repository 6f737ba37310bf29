"""A lab's processes: found by where they stand, never by a number remembered."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab.system.programs import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROC = Path("/proc")
TERM_GRACE_S = 0.3
KILL_LIMIT_S = 5.0
LOOK_INTERVAL_S = 0.02

NamespaceId = tuple[int, int]
"""Device and inode of a network namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process told apart from a later one of the same number by when it started."""

    pid: int
    started_ticks: int  # field 22 of /proc/PID/stat, in clock ticks since boot (proc(5))

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs (a zombie does not)."""
        return identify(self.pid) == self


def identify(pid: int) -> Process | None:
    """The process of that number now; None if there is none or it is a zombie."""
    try:
        text = PROC.joinpath(str(pid), "stat").read_text()
    except OSError:
        return None
    state, *fields = _fields(text)
    return None if state in "ZX" else Process(pid=pid, started_ticks=int(fields[18]))


def of_lab(lab_name: str, namespaces: set[NamespaceId]) -> set[int]:
    """Numbers of all that stand in the lab's namespaces or carry its mark.

    This process and its ancestors are left out: ``down`` may be called from ``lab shell``.
    """
    # A name that somebody attached to the machine's own namespace must not cost its processes.
    foreign = {network for network in (network_of(1),) if network}
    spared = set(_ancestors(os.getpid()))
    wanted = namespaces - foreign
    mark = f"{MARK}={lab_name}".encode()
    return {
        pid
        for pid in _all()
        if pid not in spared and (network_of(pid) in wanted or _carries(pid, mark))
    }


def of_session(leader_pid: int, lab_name: str) -> set[int]:
    """A session's members that carry the lab's mark: a User-Mode Linux leader and its helpers."""
    mark = f"{MARK}={lab_name}".encode()
    return {pid for pid in _all() if _session(pid) == leader_pid and _carries(pid, mark)}


def stop(find: Callable[[], set[int]], *, at_once: bool = False) -> int:
    """End all that ``find`` finds: SIGTERM, a short grace, SIGKILL until none is left.

    Args:
        find: looks anew each time it is called.
        at_once: SIGKILL, with no warning before.

    Returns:
        How many there were at first.

    Raises:
        RunFailed: some outlive SIGKILL.
    """
    first = find()
    _signal_all(first, signal.SIGKILL if at_once else signal.SIGTERM, find)
    if first and not _gone_within(0.0 if at_once else TERM_GRACE_S, find):
        deadline = time.monotonic() + KILL_LIMIT_S
        while left := find():
            _signal_all(left, signal.SIGKILL, find)
            if time.monotonic() > deadline:
                raise RunFailed(f"processes {sorted(left)} do not end, even by SIGKILL")
            time.sleep(LOOK_INTERVAL_S)
    return len(first)


def _signal_all(pids: set[int], number: signal.Signals, find: Callable[[], set[int]]) -> None:
    """Signal those that are still found once a pidfd holds them: no number can be reused then."""
    held: dict[int, int] = {}
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
        for pid in find() & held.keys() if held else set():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(held[pid], number)
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _gone_within(limit_s: float, find: Callable[[], set[int]]) -> bool:
    deadline = time.monotonic() + limit_s
    while find():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_INTERVAL_S)
    return True


def network_of(pid: int) -> NamespaceId | None:
    """The network namespace a process stands in; None for a zombie or one that has ended."""
    try:
        status = PROC.joinpath(str(pid), "ns/net").stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _carries(pid: int, mark: bytes) -> bool:
    try:
        environment = PROC.joinpath(str(pid), "environ").read_bytes()
    except OSError:
        return False
    return mark in environment.split(b"\0")


def _ancestors(pid: int) -> Iterator[int]:
    """The process, its parent, and so on up to 1."""
    while pid > 0:
        yield pid
        try:
            text = PROC.joinpath(str(pid), "stat").read_text()
        except OSError:
            return
        pid = int(_fields(text)[1])


def _all() -> Iterator[int]:
    return (int(path.name) for path in PROC.iterdir() if path.name.isdigit())


def _session(pid: int) -> int | None:
    try:
        return int(_fields(PROC.joinpath(str(pid), "stat").read_text())[3])
    except OSError:
        return None


def _fields(stat: str) -> list[str]:
    """Fields 3 and on of /proc/PID/stat; the name before them may hold spaces and brackets."""
    return stat.rpartition(")")[2].split()
