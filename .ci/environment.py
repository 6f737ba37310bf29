"""The virtual environment in `.venv`: made from the lock files, made again when they change.

What runs stands in one lock file, what development needs besides in another: a demo installs the
first alone, and the second is added when it is first asked for.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUN_LOCK, DEV_LOCK = "requirements.lock", "requirements-dev.lock"
PROJECT_FILE = "pyproject.toml"
LOCKS = {"demo": (RUN_LOCK,), "check": (RUN_LOCK, DEV_LOCK), "test": (RUN_LOCK, DEV_LOCK)}
"""The lock files by mode of the set-up."""


def checkout() -> Path:
    """The root of the checkout that this file is part of."""
    return Path(__file__).resolve().parent.parent


def state(root: Path, mode: str) -> str:
    """The environment is "ready", "stale" (put in this project anew), "short" or "unmade".

    A short one lacks a lock file's packages; one that has more than the mode needs is not touched.
    The stamp is written last and taken away first: an environment without one is half made.
    """
    stamp = read_stamp(root)
    if stamp is None:
        return "unmade"
    wanted = wanted_stamp(root, tuple(name for name in (RUN_LOCK, DEV_LOCK) if name in stamp))
    if {**stamp, PROJECT_FILE: ""} != {**wanted, PROJECT_FILE: ""}:
        return "unmade"
    if not stamp.keys() >= set(LOCKS[mode]):
        return "short"
    return "ready" if stamp == wanted else "stale"


def work_to_do(root: Path, mode: str) -> str:
    """What is to be installed, in words; "" if nothing is."""
    return {
        "ready": "",
        "stale": f"this project anew, for its {PROJECT_FILE} has changed",
        "short": f"by pip, as {DEV_LOCK} pins them: {locked_names(root, (DEV_LOCK,))}",
        "unmade": f"this project, and by pip, as {' and '.join(LOCKS[mode])} "
        f"{'pins' if len(LOCKS[mode]) == 1 else 'pin'} them: {locked_names(root, LOCKS[mode])}",
    }[state(root, mode)]


def locked_names(root: Path, locks: Sequence[str]) -> str:
    """The packages of lock files; pip leaves out what is for other systems and Pythons."""
    lines = [line for name in locks for line in (root / name).read_text().splitlines()]
    return " ".join(dict.fromkeys(line.split("==")[0] for line in lines if line[:1].isalpha()))


def make(root: Path, mode: str, say: Callable[[str], None]) -> int:
    """Do the work to do; 0, or 1 with one line said."""
    with alone(root):
        try:
            build(root, mode)  # looks again: another set-up may just have done it
        except subprocess.CalledProcessError as error:
            say(f"`{' '.join(map(str, error.cmd))}` failed with exit code {error.returncode}")
            return 1
        return 0


class alone:  # noqa: N801 - reads as a word in `with alone(root)`
    """While it is open, no other set-up makes this checkout's environment."""

    def __init__(self, root: Path) -> None:
        self.handle = os.open(root, os.O_RDONLY)

    def __enter__(self) -> None:
        """Wait for the lock; it lies on the directory itself, so that no file is left."""
        fcntl.flock(self.handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)


def build(root: Path, mode: str) -> None:
    """Make the environment, add to it, or put this project into it anew."""
    found, locks = state(root, mode), LOCKS[mode]
    if found == "ready":
        return
    if found == "stale":
        locks = tuple(name for name in (RUN_LOCK, DEV_LOCK) if name in (read_stamp(root) or {}))
    venv = root / ".venv"
    wanted = wanted_stamp(root, locks)
    stamp_file(root).unlink(missing_ok=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if found == "unmade":
        if venv.is_dir():
            shutil.rmtree(venv)
        run(root, [sys.executable, "-m", "venv", str(venv)])
    if found != "stale":
        files = [word for name in locks for word in ("-r", name)]
        run(root, [*pip, "install", "-q", "--require-hashes", *files])
    run(root, [*pip, "install", "-q", "--no-deps", "--no-build-isolation", "-e", "."])
    stamp_file(root).write_text(json.dumps(wanted))
    give_to_owner(root, venv)


def run(root: Path, command: list[str]) -> None:
    """One step, in the checkout."""
    subprocess.run(command, check=True, cwd=root, stdin=subprocess.DEVNULL)


def give_to_owner(root: Path, venv: Path) -> None:
    """After `sudo make`, the environment belongs to whom the checkout belongs."""
    owner = root.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for folder, folders, files in os.walk(venv):
        for name in (".", *folders, *files):
            os.lchown(Path(folder, name), owner.st_uid, owner.st_gid)


def stamp_file(root: Path) -> Path:
    """Where an environment says what it was made from."""
    return root / ".venv" / "made-from.json"


def read_stamp(root: Path) -> dict[str, str] | None:
    """What the environment was made from; None if it is not there, half made or unusable."""
    try:
        stamp = json.loads(stamp_file(root).read_text())
    except (OSError, ValueError):
        return None
    usable = os.access(root / ".venv" / "bin" / "python", os.X_OK)
    whole = set(stamp) - {DEV_LOCK} == {RUN_LOCK, PROJECT_FILE, "at"}
    return stamp if usable and whole else None


def wanted_stamp(root: Path, locks: Sequence[str]) -> dict[str, str]:
    """What it must be made from: the files, and where (scripts hold both paths)."""
    hashes = {
        name: hashlib.sha256((root / name).read_bytes()).hexdigest()
        for name in (*locks, PROJECT_FILE)
    }
    version = "{}.{}".format(*sys.version_info[:2])
    return {**hashes, "at": f"{root}, Python {version} at {Path(sys.executable).resolve()}"}
