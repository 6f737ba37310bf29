"""The container image: what it is made of and whose it is; built and run where an engine works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import environment
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = environment.checkout()
TEXT = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines() if line.strip()]
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text().splitlines()
    if line and not line.startswith("#")
]
UID = 4321
BUILD_LIMIT_S = 1800


def arguments(*instructions: str) -> list[str]:
    return [rest for instruction, rest in STEPS if instruction in instructions]


def copied() -> set[str]:
    """Names in the checkout that the image is made of."""
    words = [shlex.split(rest) for rest in arguments("COPY")]
    return {name for each in words if not each[0].startswith("--from") for name in each[:-1]}


def sent(name: str) -> bool:
    """Whether a name at the checkout's root is sent to the engine, by the last line that fits."""
    ignored = False
    for line in IGNORED:
        if fnmatch(name, line.removeprefix("!")):
            ignored = not line.startswith("!")
    return not ignored


def test_what_is_sent_is_what_is_copied() -> None:
    assert {path.name for path in ROOT.iterdir() if sent(path.name)} == copied()


def test_every_package_of_the_wheel_is_copied() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} <= copied()


def test_what_pip_fetches_is_checked_against_the_lock_file() -> None:
    commands = [command for rest in arguments("RUN") for command in rest.split("&&")]
    calls = [command for command in commands if re.search(r"/pip (install|wheel) ", command)]
    assert len(calls) == 4
    assert all("--require-hashes" in call or "--no-index" in call for call in calls)


def test_it_runs_loadgen_and_not_as_root() -> None:
    assert arguments("ARG") == ["UID=1000"]
    assert arguments("USER") == ["$UID"]
    assert arguments("ENTRYPOINT") == ['["loadgen"]']


def engine() -> str | None:
    """A container engine that works here."""
    for name in ("docker", "podman"):
        if shutil.which(name) is not None:
            answer = subprocess.run([name, "info"], check=False, capture_output=True)
            if answer.returncode == 0:
                return name
    return None


@pytest.fixture(scope="module")
def run() -> Iterator[list[str]]:
    """The command that runs the image, which is built for this and removed afterwards."""
    name = engine()
    if name is None:
        pytest.skip("no docker and no podman that works")
    tag = "ipvs-loadgen-test"
    build = [name, "build", "--quiet", "--tag", tag, "--build-arg", f"UID={UID}", str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=BUILD_LIMIT_S)
    yield [name, "run", "--rm", "--network", "none", tag]
    subprocess.run([name, "rmi", "--force", tag], check=True, capture_output=True)


def test_the_image_shows_the_commands(run: list[str]) -> None:
    shown = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert "burst" in shown


def test_the_image_reports_a_burst_as_its_own_user(run: list[str]) -> None:
    """Nobody listens in a network of its own: the burst fails, and the report is there."""
    *words, tag = run
    script = 'id -u; loadgen burst --vip 127.0.0.1 -n 3; echo "exit code $?"; ls runs/*/report.html'
    command = [*words, "--entrypoint", "sh", tag, "-c", script]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[0] == str(UID)
    assert "exit code 1" in lines
    assert lines[-1].endswith("/report.html")
