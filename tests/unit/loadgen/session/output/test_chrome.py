"""A browser is run once, bounded in time, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.session.output.chrome import dump, find_chrome
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    import pytest


def program(folder: Path, script: str) -> str:
    file = folder / "chromium"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def runs(pid: int) -> bool:
    """Whether a process is there; one that has ended may wait for somebody to take note."""
    try:
        state = Path("/proc", str(pid), "stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_the_browser_prints_is_the_page(tmp_path: Path) -> None:
    shows = program(tmp_path, 'for last; do :; done; cat "${last#file://}"')
    assert dump("<p>here</p>", shows) == "<p>here</p>"


def test_its_flags_let_it_reach_nobody(tmp_path: Path) -> None:
    words = (dump("", program(tmp_path, 'printf "%s\\n" "$@"')) or "").splitlines()
    assert "--proxy-server=127.0.0.1:9" in words
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in words
    assert words[-1].startswith("file:///")


def test_one_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    communicate = subprocess.Popen.communicate

    def when_it_hangs(browser: subprocess.Popen[bytes], **limit: Any) -> Any:
        assert wait_until(lambda: child.exists() and child.read_text().endswith("\n"))
        return communicate(browser, **limit)

    monkeypatch.setattr(subprocess.Popen, "communicate", when_it_hangs)
    hangs = program(tmp_path, f"sleep 60 & echo $! >{child}; sleep 60")
    began_s = time.monotonic()
    assert dump("", hangs, limit_s=0.3) is None
    assert time.monotonic() - began_s < 60
    assert wait_until(lambda: not runs(int(child.read_text())))


def test_one_that_fails_gives_nothing(tmp_path: Path) -> None:
    assert dump("", program(tmp_path, "echo half; exit 3")) is None
    assert dump("", str(tmp_path / "nowhere")) is None


def test_the_first_of_the_known_names_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chrome() is None
    found = program(tmp_path, "")
    assert find_chrome() == found
