"""`.ci/setup` on machines that will not do: one line, exit code 2, nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import debian
import environment
import house
import pytest

FILES = ("requirements.lock", "requirements-dev.lock", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with the set-up in it and no virtual environment."""
    there = tmp_path / "checkout"
    shutil.copytree(environment.checkout() / ".ci", there / ".ci")
    for name in FILES:
        shutil.copy(environment.checkout() / name, there)
    return there


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with a Python and what a POSIX shell script needs, but no apt-get and no sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, target in {"python3": sys.executable, "dirname": "/usr/bin/dirname"}.items():
        (folder / name).symlink_to(Path(target).resolve())
    return str(folder)


def set_up(checkout: Path, mode: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(checkout / ".ci" / "setup"), mode],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_python_it_says_so_and_changes_nothing(copy: Path) -> None:
    done = set_up(copy, "demo", PYTHON="no-such-python")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no-such-python" in done.stderr
    assert not (copy / ".venv").exists()


def test_where_there_is_no_apt_get_it_says_so_and_changes_nothing(
    copy: Path, bare_path: str
) -> None:
    done = set_up(copy, "demo", PATH=bare_path, PYTHON="python3")

    assert done.returncode == 2
    assert "no apt-get" in done.stderr
    assert not (copy / ".venv").exists()


def test_an_unknown_mode_is_wrong_usage(copy: Path) -> None:
    assert set_up(copy, "party").returncode == 2


@pytest.mark.parametrize(
    ("terminal", "environ", "asks"),
    [
        (True, {}, True),
        (True, {"YES": "1"}, False),
        (True, {"CI": "true"}, False),
        (False, {}, False),
    ],
)
def test_it_asks_only_on_a_terminal_and_neither_with_yes_nor_in_ci(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environ: dict[str, str], asks: bool
) -> None:
    asked: list[str] = []

    def no(question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.delenv("YES", raising=False)
    monkeypatch.delenv("CI", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("builtins.input", no)

    assert house.yes("go on?") == (not asks)
    assert bool(asked) == asks


LISTING = """\
installed\tnginx-light, httpd, nginx (= 1.22.1-9)
config-files\tkeepalived, lvs-failover
unpacked\tipvsadm,\x20
installed\tlibpcap0.8t64, libpcap0.8 (= 1.10.5-2)
"""


def test_a_package_is_there_when_it_is_installed_or_provided() -> None:
    there = debian.names(LISTING)

    assert {"nginx-light", "nginx", "libpcap0.8"} <= there
    assert there.isdisjoint({"keepalived", "ipvsadm"})


POLICY = """\
ipvsadm:
  Installed: (none)
  Candidate: 1:1.31-1build3
  Version table:
     1:1.31-1build3 500
        500 http://mirror.example/ubuntu noble/universe amd64 Packages
user-mode-linux:
  Installed: (none)
  Candidate: (none)
  Version table:
"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an apt-cache of the test's own prints."""
    program, says = tmp_path / "apt-cache", tmp_path / "policy"
    program.write_text(f"#!/bin/sh\ncat {says}\n")
    program.chmod(0o755)
    says.write_text(POLICY)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return says


@pytest.mark.usefixtures("policy")
def test_a_package_that_the_distribution_lacks_is_not_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debian, "installed", set)

    assert debian.unavailable(["ethtool", "user-mode-linux"]) == ["user-mode-linux"]
    assert "ipvsadm" in debian.missing("test")
    assert {"user-mode-linux", "chromium"}.isdisjoint(debian.missing("test"))


def test_before_the_first_update_of_apt_nothing_is_said_to_be_lacking(policy: Path) -> None:
    policy.write_text("")

    assert debian.unavailable(["ipvsadm", "user-mode-linux"]) == []


def test_only_a_package_with_something_in_its_place_is_left_out(policy: Path) -> None:
    policy.write_text(POLICY)

    assert debian.unavailable(["keepalived"]) == []
