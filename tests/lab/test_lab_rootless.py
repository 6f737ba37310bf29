"""A lab of an ordinary user: the same commands, without root, where namespaces are allowed.

The user is one without a name or a home. What it needs of this checkout and of Python is put where
it can read it by mounts in a namespace of the test's own, wherever the checkout lies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.lab.system.programs import search_path

if TYPE_CHECKING:
    from collections.abc import Iterator

UID = 54321
HOLDER_DIRECTORY = Path(f"/tmp/loadgen-user-{UID}")
REPOSITORY = Path(__file__).parents[2]
LIMIT_S = 60
AS_USER = f"""
set -e
mount --bind "$REPOSITORY" repository
mount --bind "$SITE" site
mount --bind "$PREFIX" python
cd work
exec setpriv --reuid {UID} --regid {UID} --clear-groups --inh-caps=-all "$@"
"""
MAIN = "from loadgen.commands.loadgen import main; main()"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that the user can read, with one of its own in it."""
    with tempfile.TemporaryDirectory(prefix="loadgen-rootless-") as name:
        path = Path(name)
        path.chmod(0o755)
        for part in ("repository", "site", "python", "work"):
            (path / part).mkdir()
        os.chown(path / "work", UID, UID)
        yield path
        as_user("lab", "down", place=path)
        os.chown(path / "work", 0, 0)


def as_user(*words: str, place: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """``loadgen ...`` as a user without root; ``before`` is Python that is run first."""
    python = place / "python" / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {
        "PATH": search_path(),
        "HOME": str(place / "work"),
        "PYTHONHOME": str(place / "python"),
        "LD_LIBRARY_PATH": str(place / "python" / "lib"),
        "PYTHONPATH": f"{place}/repository:{place}/site",
        "PYTHONDONTWRITEBYTECODE": "1",
        "REPOSITORY": str(REPOSITORY),
        "SITE": sysconfig.get_path("purelib"),
        "PREFIX": sys.base_prefix,
    }
    command = ["unshare", "--mount", "sh", "-c", AS_USER, "sh", str(python), "-c", before + MAIN]
    return subprocess.run(
        [*command, *words],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_an_ordinary_users_lab_comes_up_takes_a_burst_and_a_crash_and_is_gone(place: Path) -> None:
    up = as_user("lab", "up", "--vip-by", "static", "--timeouts", "900,1,300", place=place)
    assert up.returncode == 0, up.stderr
    assert "VIP held by bal01" in as_user("lab", "status", place=place).stdout
    burst = ("burst", "--vip", "192.168.10.2", "-n", "10", "-o", f"{place}/work/run")
    done = as_user(*burst, place=place)
    assert done.returncode == 0, done.stderr
    assert "10 of 10 requests succeeded" in " ".join(done.stdout.split())
    assert "no capture" not in done.stderr
    for kind in ("crash", "boot"):
        fault = as_user("lab", "fault", "bal02", kind, place=place)
        assert fault.returncode == 0, fault.stderr
    assert any("linux.uml" in line for line in processes_of_the_user())
    down = as_user("lab", "down", place=place)
    assert down.stderr == "lab 'lab' is down\n"
    deadline_s = time.monotonic() + 60
    while processes_of_the_user():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert not HOLDER_DIRECTORY.exists()


def test_without_a_lab_an_ordinary_user_gets_one_line_of_error(place: Path) -> None:
    done = as_user("lab", "shell", "client", place=place)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert not HOLDER_DIRECTORY.exists()


def test_where_namespaces_are_forbidden_one_line_says_so(place: Path) -> None:
    """An unshare that fails stands in for a kernel that forbids it."""
    program = place / "tools" / "unshare"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    program.chmod(0o755)
    before = f"import os; os.environ['PATH'] = '{program.parent}:' + os.environ['PATH']; "
    done = as_user("lab", "up", place=place, before=before)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "a lab needs root (sudo), or user, network and mount namespaces" in done.stderr
    assert done.stderr.endswith("not to be had here: unshare: Operation not permitted\n")


def processes_of_the_user() -> list[str]:
    """Command lines of all that the user runs."""
    argv = ["ps", "-u", str(UID), "-o", "args="]
    return subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
