"""Network namespaces: enter, make, fill, remove. ``ip netns`` keeps names in /run/netns."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loadgen.errors import RunFailed
from loadgen.lab.system.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")

NAMES = Path("/run/netns")
CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
MNT_DETACH = 2  # include/linux/fs.h

_libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace: str) -> None:
    """Move the calling thread (a process's only thread: the process) into a network namespace.

    Sockets made before stay where they were made.

    Raises:
        RunFailed: there is no such namespace, or no privilege to enter it (setns(2)).
    """
    try:
        descriptor = os.open(NAMES / namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RunFailed(f"network namespace {namespace}: {error.strerror}") from error
    try:
        _set(descriptor, namespace)
    finally:
        os.close(descriptor)


@contextmanager
def visiting(namespace: str) -> Iterator[None]:
    """``enter``, and back at the end."""
    network = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace)
        try:
            yield
        finally:
            _set(network, "where we came from")
    finally:
        os.close(network)


def _set(descriptor: int, name: str) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise RunFailed(f"network namespace {name} cannot be entered: {reason}")


def within(namespace: str, action: Callable[[], T]) -> T:
    """What ``action`` returns, called by a thread that stands in the namespace.

    The caller's thread stays where it is. A socket that ``action`` makes belongs to the namespace
    for good, whoever uses it later.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            enter(namespace)
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name=f"in {namespace}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def exists(namespace: str) -> bool:
    """Whether the name is there and is a namespace, not a plain file left by a killed ``ip``."""
    inode = identity(namespace)
    return inode is not None and inode[0] != NAMES.stat().st_dev


def names() -> list[str]:
    """Every name in /run/netns."""
    try:
        return sorted(path.name for path in NAMES.iterdir())
    except FileNotFoundError:
        return []


def identity(namespace: str) -> tuple[int, int] | None:
    """Device and inode of the namespace, as /proc/PID/ns/net of its processes shows them."""
    try:
        status = NAMES.joinpath(namespace).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def batch(step: str, lines: Iterable[str], *, namespace: str | None = None) -> None:
    """Run lines of ``ip -batch``, in a namespace or in the machine's own."""
    inside = ["-n", namespace] if namespace else []
    run_program(step, ["ip", *inside, "-batch", "-"], text="\n".join(lines) + "\n")


def write_sysctls(namespace: str, values: Mapping[str, str]) -> None:
    """Write files below /proc/sys/net; one that this kernel lacks (no IPv6) is left out."""

    def write() -> None:
        for name, value in values.items():
            with suppress(FileNotFoundError):
                Path("/proc/sys/net", name).write_text(value)

    within(namespace, write)


def remove(names: Sequence[str]) -> None:
    """Take the names away; a namespace ends, with its links, when its last process has.

    An ``ip`` killed between its two steps leaves a plain file, on which umount fails; no matter.
    """
    for name in names:
        path = NAMES / name
        _libc.umount2(os.fsencode(path), MNT_DETACH)
        path.unlink(missing_ok=True)


def remove_mount_point() -> None:
    """Undo the mount that the first ``ip netns add`` makes on /run/netns, once no name is left.

    The kernel refuses while any namespace is mounted below (EBUSY), so a race is lost safely.
    """
    if not names():
        _libc.umount2(os.fsencode(NAMES), 0)
