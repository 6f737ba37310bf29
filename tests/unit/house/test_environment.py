"""When the virtual environment is made again or added to, and when it is not touched."""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

import environment
import pytest

if TYPE_CHECKING:
    from pathlib import Path

MODES = tuple(environment.LOCKS)


def make_python(root: Path) -> None:
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)


def make(root: Path, *locks: str) -> Path:
    """A checkout whose environment was made from these."""
    (root / "requirements.lock").write_text("a==1 \\\n    --hash=sha256:00\nb==2\n")
    (root / "requirements-dev.lock").write_text("c==3\n")
    (root / "pyproject.toml").write_text("[project]\n")
    make_python(root)
    stamp = environment.wanted_stamp(root, locks)
    environment.stamp_file(root).write_text(json.dumps(stamp))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose environment is complete."""
    return make(tmp_path, *environment.LOCKS["test"])


@pytest.fixture
def ran(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The steps that were taken, of which none is really run."""
    steps: list[list[str]] = []

    def run(_root: Path, command: list[str]) -> None:
        assert not environment.stamp_file(root).exists()
        steps.append(command)
        if "venv" in command:
            make_python(root)

    monkeypatch.setattr(environment, "run", run)
    return steps


def installed(steps: list[list[str]]) -> list[list[str]]:
    """The lock files of each step of pip's that has any."""
    return [
        [file for word, file in pairwise(step) if word == "-r"] for step in steps if "-r" in step
    ]


@pytest.mark.parametrize("mode", MODES)
def test_a_complete_environment_is_left_alone(root: Path, mode: str) -> None:
    assert environment.state(root, mode) == "ready"
    assert environment.work_to_do(root, mode) == ""
    environment.build(root, mode)  # would fail: there is no Python in this one


def test_a_demo_needs_no_development_tools_and_other_modes_add_them(tmp_path: Path) -> None:
    root = make(tmp_path, "requirements.lock")
    assert environment.state(root, "demo") == "ready"
    for mode in ("check", "test"):
        assert environment.state(root, mode) == "short"
        assert environment.work_to_do(root, mode).endswith("them: c")


def test_what_is_added_leaves_what_is_there(root: Path, ran: list[list[str]]) -> None:
    stamp = environment.wanted_stamp(root, ("requirements.lock",))
    environment.stamp_file(root).write_text(json.dumps(stamp))
    environment.build(root, "test")
    assert installed(ran) == [["requirements.lock", "requirements-dev.lock"]]
    assert not any("venv" in step for step in ran)
    assert environment.state(root, "test") == "ready"


@pytest.mark.parametrize("name", environment.LOCKS["test"])
def test_another_lock_file_means_a_new_environment(
    root: Path, name: str, ran: list[list[str]]
) -> None:
    (root / name).write_text("d==2\n")
    assert environment.state(root, "demo") == "unmade"
    assert "d" in environment.work_to_do(root, "test").split()
    environment.build(root, "demo")
    assert installed(ran) == [["requirements.lock"]]
    assert "venv" in ran[0]
    assert environment.state(root, "demo") == "ready"


@pytest.mark.parametrize("mode", MODES)
def test_another_project_file_means_this_project_anew_only(
    root: Path, mode: str, ran: list[list[str]]
) -> None:
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert environment.state(root, mode) == "stale"
    environment.build(root, mode)
    assert installed(ran) == []
    assert "-e" in ran[0]
    assert {environment.state(root, every) for every in MODES} == {"ready"}


def test_a_step_that_fails_leaves_an_environment_that_is_made_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_root: Path, command: list[str]) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(environment, "run", fails)
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    said: list[str] = []
    assert environment.make(root, "demo", said.append) == 1
    assert len(said) == 1
    assert environment.state(root, "demo") == "unmade"


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"at": "here"}'])
def test_an_environment_without_a_whole_stamp_is_half_made(root: Path, text: str | None) -> None:
    environment.stamp_file(root).unlink()
    if text is not None:
        environment.stamp_file(root).write_text(text)

    assert environment.state(root, "demo") == "unmade"


def test_an_environment_whose_python_is_gone_is_made_anew(root: Path) -> None:
    (root / ".venv" / "bin" / "python").unlink()

    assert environment.state(root, "demo") == "unmade"


def test_an_environment_moved_elsewhere_is_made_anew(root: Path) -> None:
    moved = root.rename(root.with_name("moved"))

    assert environment.state(moved, "demo") == "unmade"
