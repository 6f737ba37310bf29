"""What directors are owed: on disk before a timeout is changed, deleted when it has been put back.

One file for each director, named after its *identity* (the boot of its kernel and its network
namespace, which is what IPVS hangs on), so that it is found again over whatever link the director
is reached next time, and never taken for another director or for one that has been restarted. A
file is written whole or not at all, and is on the disk when ``write`` returns. A lock beside it
belongs to the sweep that is on, and goes with its process.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.states import Timeouts
from loadgen.errors import UsageProblem
from loadgen.session.files import home_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 1
MAX_BYTES = 1 << 16
MAX_TIMEOUT_S = 2**31 // 1000  # more than any kernel takes for HZ = 1000


class JournalDamaged(UsageProblem):
    """A journal that cannot be read: what the director is owed is not known."""


class SweepGoesOn(UsageProblem):
    """Another process is changing this director's timeouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What a director must get back.

    Attributes:
        director: its name, for messages.
        identity: of the kernel and namespace that the timeouts are of.
        before: the timeouts that it had.
        ours: those that may be in force because of us.
        since: when the first change was made, UTC.
        by_hand: the line that puts them back.
    """

    director: str
    identity: str
    before: Timeouts
    ours: tuple[Timeouts, ...]
    since: str
    by_hand: str


def folder() -> Path:
    """Where a user's journals are: ``$XDG_STATE_HOME/loadgen/timeouts``.

    Raises:
        UsageProblem: the user has no home directory.
    """
    state_home = os.environ.get("XDG_STATE_HOME", "")
    # a relative path is to be ignored (XDG base directory specification)
    if state_home.startswith("/"):
        return Path(state_home) / "loadgen" / "timeouts"
    home = home_directory()
    if home is None:
        raise UsageProblem("this user has no home directory; set HOME or XDG_STATE_HOME")
    return home / ".local" / "state" / "loadgen" / "timeouts"


def path_of(identity: str) -> Path:
    """The journal of a director."""
    return folder() / f"{hashlib.sha256(identity.encode()).hexdigest()[:20]}.json"


def are_any() -> bool:
    """Whether any director is owed anything."""
    return any(folder().glob("*.json"))


def write(owed: Owed) -> None:
    """Note what a director is owed; it is on the disk when this returns.

    Raises:
        UsageProblem: the folder cannot be written; then nothing may be changed.
    """
    path = path_of(owed.identity)
    text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(owed)}, indent=1)
    hidden = path.with_suffix(f".{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with hidden.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be written: {error.strerror}") from error


def forget(identity: str) -> None:
    """Nothing is owed any more."""
    path = path_of(identity)
    path.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        _sync_folder(path.parent)


def read(identity: str) -> Owed | None:
    """What a director is owed; None if nothing.

    Raises:
        JournalDamaged: there is a journal, but not one that was written here.
    """
    path = path_of(identity)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, error.strerror or "not readable") from error
    try:
        owed = parse(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _damaged(path, "its content is not one") from None
    if owed.identity != identity:
        raise _damaged(path, "it is another director's")
    return owed


def parse(content: bytes) -> Owed:
    """The text of a journal.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, RecursionError: it is none.
    """
    if len(content) > MAX_BYTES:
        raise ValueError("too long")
    document = json.loads(content)
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError("schema_version")
    return Owed(
        director=_text(document["director"]),
        identity=_text(document["identity"]),
        before=_timeouts(document["before"]),
        ours=tuple(_timeouts(timeouts) for timeouts in document["ours"]),
        since=_text(document["since"]),
        by_hand=_text(document["by_hand"]),
    )


@contextmanager
def locked(identity: str) -> Iterator[None]:
    """Nobody else changes this director's timeouts, nor puts them back, meanwhile.

    Raises:
        SweepGoesOn: somebody does.
        UsageProblem: the lock cannot be made.
    """
    path = path_of(identity).with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SweepGoesOn("a sweep is changing its timeouts at this moment") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return "".join(filter(str.isprintable, value))


def _timeouts(value: Any) -> Timeouts:
    numbers = [value[name] for name in ("tcp_s", "tcpfin_s", "udp_s")]
    # bool is an int to Python
    if not all(type(number) in (int, float) and 1 <= number <= MAX_TIMEOUT_S for number in numbers):
        raise ValueError("expected timeouts")
    tcp_s, tcpfin_s, udp_s = map(float, numbers)
    return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)


def _damaged(path: Path, why: str) -> JournalDamaged:
    return JournalDamaged(
        f"{path}: expected a journal of changed timeouts, {why}: see that the director's timeouts "
        "are as they should be (ipvsadm -L --timeout), then delete it"
    )


def _sync_folder(path: Path) -> None:
    """A rename or a deletion is on the disk when its folder is."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
