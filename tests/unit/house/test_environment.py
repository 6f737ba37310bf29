"""When the virtual environment is made again, and when it is not touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import environment
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose environment is complete."""
    (tmp_path / "requirements.lock").write_text("a==1 \\\n    --hash=sha256:00\nb==2\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    stamp = environment.wanted_stamp(tmp_path)
    environment.stamp_file(tmp_path).write_text(json.dumps(stamp))
    return tmp_path


def test_a_complete_environment_is_left_alone(root: Path) -> None:
    assert environment.state(root) == "ready"
    assert environment.work_to_do(root) == ""
    environment.build(root, "ready")  # would fail: there is no Python in this one


def test_another_lock_file_means_a_new_environment(root: Path) -> None:
    (root / "requirements.lock").write_text("a==2\n")

    assert environment.state(root) == "unmade"
    assert "a" in environment.work_to_do(root).split()


def test_another_project_file_means_this_project_anew_only(root: Path) -> None:
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    assert environment.state(root) == "stale"


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"at": "here"}'])
def test_an_environment_without_a_whole_stamp_is_half_made(root: Path, text: str | None) -> None:
    environment.stamp_file(root).unlink()
    if text is not None:
        environment.stamp_file(root).write_text(text)

    assert environment.state(root) == "unmade"


def test_an_environment_whose_python_is_gone_is_made_anew(root: Path) -> None:
    (root / ".venv" / "bin" / "python").unlink()

    assert environment.state(root) == "unmade"


def test_an_environment_moved_elsewhere_is_made_anew(root: Path) -> None:
    moved = root.rename(root.with_name("moved"))

    assert environment.state(moved) == "unmade"
