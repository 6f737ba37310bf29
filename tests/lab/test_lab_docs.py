"""docs/lab.md: every command on the page is run, in order, and what it shows is compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.lab.lab import down
from tests.lab.failing_over import STOOD_STILL, TRIES

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
BLOCK = re.compile(r"^```(sh|text|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
LINE_LIMIT_S = 60


def sections() -> dict[str, list[tuple[str, str]]]:
    """Each section's blocks: language and text."""
    title, *rest = SECTION.split(PAGE.read_text())
    assert title.startswith("# The lab")
    found = {name: BLOCK.findall(text) for name, text in zip(rest[::2], rest[1::2], strict=True)}
    return {name: blocks for name, blocks in found.items() if blocks}


SECTIONS = sections()
SHELL = [name for name, blocks in SECTIONS.items() if blocks[0][0] == "sh"]


@pytest.fixture(scope="module")
def place(lab_prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory; the lab of this name is down at the end."""
    yield tmp_path_factory.mktemp("docs")
    down(f"{lab_prefix}-docs")


@pytest.fixture
def environment(lab_prefix: str) -> dict[str, str]:
    """A user's, whose lab is not called ``lab``."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LOADGEN_LAB": f"{lab_prefix}-docs"}


@pytest.mark.parametrize("section", SHELL)
def test_every_command_of_the_page_works_and_shows_what_the_page_says(
    section: str, place: Path, environment: dict[str, str]
) -> None:
    printed = ""
    for language, text in SECTIONS[section]:
        if language == "sh":
            printed = "".join(run(line, place, environment) for line in text.splitlines())
        else:
            assert_shown(text, printed)


def test_the_python_of_the_page_runs(place: Path) -> None:
    ((_language, code),) = SECTIONS["In Python"]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=LINE_LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("srv0")
    assert "['nginx-stop', 'unplug']" in done.stdout


def test_the_fixture_of_the_page_works_in_a_project_of_its_own(tmp_path: Path) -> None:
    ((_language, code),) = SECTIONS["In your own tests"]
    (tmp_path / "test_balancer.py").write_text(code)
    (tmp_path / "conftest.py").write_text("from loadgen.lab.fixture import make_ipvs_lab\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=LINE_LIMIT_S)
    assert "1 passed" in done.stdout, done.stdout


def test_the_page_has_the_two_exercises() -> None:
    assert [name.partition(":")[0] for name in SHELL[:2]] == ["Exercise 1", "Exercise 2"]


def run(line: str, place: Path, environment: dict[str, str]) -> str:
    """What a line of the page prints; once more where this machine stood still meanwhile."""
    for _ in range(TRIES):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LINE_LIMIT_S,
        )
        if STOOD_STILL not in " ".join(done.stdout.split()):
            break
        shutil.rmtree(place / line.rpartition(" -o ")[2])
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def assert_shown(expected: str, printed: str) -> None:
    """Each expected line is in what was printed, breaks, blanks and seconds apart.

    iproute2 from 6.3 or so on also says who set an address (``proto 0x12``: keepalived).
    """
    shown = re.sub(r" proto \S+", "", " ".join(printed.split()))
    for wanted in expected.splitlines():
        pattern = re.escape(" ".join(wanted.split())).replace(r"01:\ ", r"\d\d:\d\d\ ")
        assert re.search(pattern, shown), f"{wanted}\nnot in\n{printed}"
