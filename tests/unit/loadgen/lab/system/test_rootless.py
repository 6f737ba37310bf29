"""Where the number of a user's holder is kept: never where somebody else decides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadgen.lab.system import rootless
from loadgen.lab.system.processes import identify


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /tmp of the test's own, and no XDG_RUNTIME_DIR."""
    directory = tmp_path / "tmp"
    directory.mkdir(mode=0o777)
    known = Path
    monkeypatch.setattr(rootless, "Path", lambda text: directory if text == "/tmp" else known(text))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return directory


def remembered() -> Path:
    _, file = rootless.remember(os.getpid())
    assert rootless.running_holder() == (identify(os.getpid()), file)
    return file


def test_it_is_in_the_runtime_directory_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert remembered() == runtime / "loadgen" / "holder"


@pytest.mark.parametrize("value", ["", "relative", "/nowhere/at/all"])
def test_without_one_it_is_in_a_directory_of_the_user(
    value: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    file = remembered()
    assert file == shared / f"loadgen-user-{os.getuid()}" / "holder"
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("made", ["writable", "file", "link"])
def test_what_somebody_else_made_blocks_nobody_and_is_not_believed(made: str, shared: Path) -> None:
    theirs = shared / f"loadgen-user-{os.getuid()}"
    if made == "file":
        theirs.write_text("")
    elif made == "link":
        (shared / "elsewhere").mkdir(mode=0o700)
        theirs.symlink_to(shared / "elsewhere")
        (shared / "elsewhere" / "holder").write_text("1 1\n")
    else:
        theirs.mkdir()
        theirs.chmod(0o777)
        (theirs / "holder").write_text("1 1\n")
    assert rootless.running_holder() is None
    file = remembered()
    assert file.parent.name.startswith(f"{theirs.name}-")
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a directory of another user's")
def test_a_directory_of_another_user_is_passed_over(shared: Path) -> None:
    theirs = shared / f"loadgen-user-{os.getuid()}"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 54321, 54321)
    assert remembered().parent != theirs
