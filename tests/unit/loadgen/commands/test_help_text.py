"""What every command has: -h, --version, suggestions, help that fits 80 columns, completion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from loadgen import __version__
from loadgen.commands.help_text import HelpFormatter, every_command
from loadgen.lab.system import interruption, rootless
from tests.unit.loadgen.commands.in_process import GROUPS, run_in_process

COMMANDS = [found for group in GROUPS.values() for found in every_command(group)]
IDS = [" ".join(path) for path, _ in COMMANDS]
COLUMNS = 80


@pytest.fixture(autouse=True)
def terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


def help_of(path: tuple[str, ...], option: str = "--help") -> str:
    shown = run_in_process(*path, option)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_every_command_of_both_scripts_is_found() -> None:
    assert {("loadgen", "lab", "up"), ("loadgen", "burst"), ("analyzer", "import")} <= {
        path for path, _ in COMMANDS
    }


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS], ids=IDS)
def test_every_command_has_its_version_and_the_short_option_for_help(path: tuple[str, ...]) -> None:
    assert help_of(path, "--version") == f"{path[0]} {__version__}\n"
    assert help_of(path, "-h") == help_of(path)
    assert "-h, --help" in help_of(path)


def test_the_help_of_a_lab_enters_no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[bool] = []
    monkeypatch.setattr(rootless, "enter", lambda *, start: entered.append(start))
    monkeypatch.setattr(interruption, "install", lambda: None)
    help_of(("loadgen", "lab", "up"))
    assert run_in_process("loadgen", "lab", "up", "--nonsense").returncode == 2
    assert entered == []
    run_in_process("loadgen", "lab", "status", "--name", "there-is-none")
    assert run_in_process("loadgen", "lab", "up", "--name", "NO LAB").returncode == 2
    assert entered == [False, True]


def _help_text(path: tuple[str, ...]) -> str:
    command = dict(COMMANDS)[path]
    context = command.context_class(command, info_name=" ".join(path), **command.context_settings)
    return command.get_help(context)


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS], ids=IDS)
def test_help_fits_80_columns_and_breaks_no_word(path: tuple[str, ...]) -> None:
    shown = _help_text(path)
    assert max(map(len, shown.splitlines())) <= COLUMNS
    words = set(shown.split())
    texts = [dict(COMMANDS)[path].help or ""]
    texts += [str(getattr(option, "help", None) or "") for option in dict(COMMANDS)[path].params]
    for word in re.findall(r"(?<!\S)\w+(?:-\w+)+(?!\S)", " ".join(texts)):
        assert word in words


@pytest.mark.parametrize("columns", [80, 50])
@pytest.mark.parametrize(
    "path", [path for path, command in COMMANDS if isinstance(command, click.Group)]
)
def test_no_line_of_a_list_of_commands_is_cut(
    path: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    group = dict(COMMANDS)[path]
    assert isinstance(group, click.Group)
    shown = help_of(path).split("Commands:\n")[1]
    assert "..." not in shown
    names = group.list_commands(click.Context(group))
    if columns == COLUMNS:
        assert [line.split()[0] for line in shown.splitlines()] == names  # a line for each


def test_hyphens_of_help_are_those_that_are_typed() -> None:
    formatter = HelpFormatter(width=30)
    text = "a text with words such as reset-syn, capacity-proof and half-open"
    formatter.write_text(text)
    assert " ".join(formatter.getvalue().split()) == text


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["bust"], "burst"),
        (["capacityproof"], "capacity-proof"),
        (["burst", "--dirctor", "local"], "--director"),
        (["burst", "--vp", "10.1.2.3"], "--vip"),
    ],
)
def test_a_mistyped_command_or_option_is_answered_with_what_was_meant(
    words: list[str], meant: str
) -> None:
    shown = run_in_process("loadgen", *words)
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert "Did you mean" in shown.stderr
    assert f"'{meant}'" in shown.stderr


def test_a_command_that_is_like_none_gets_no_suggestion() -> None:
    shown = run_in_process("loadgen", "xyzzy")
    assert shown.returncode == 2
    assert "Did you mean" not in shown.stderr


# Completion --------------------------------------------------------------------------------------

SCRIPTS = Path(sys.executable).parent


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["loadgen", "b"], ["burst"]),
        (["loadgen", "lab", "st"], ["status"]),
        (["loadgen", "burst", "--director"], ["--director", "--director-cpu"]),
        (["loadgen", "burst", "--engine", "p"], ["packets"]),
        (["loadgen", "lab", "fault", "bal01", "link"], ["link-down", "link-up"]),
        (["analyzer", "a"], ["anonymise"]),
    ],
)
def test_a_real_bash_completes(words: list[str], expected: list[str]) -> None:
    script = words[0]
    program = (
        f'eval "$(_{script.upper()}_COMPLETE=bash_source {script})" || exit 9\n'
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        f'_{script}_completion {script}; printf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", program],
        env={**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.split() == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("script", GROUPS)
def test_each_shell_gets_its_script(script: str, shell: str) -> None:
    environ = {**os.environ, f"_{script.upper()}_COMPLETE": f"{shell}_source"}
    done = subprocess.run(
        [SCRIPTS / script], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert f"_{script.upper()}_COMPLETE={shell}_complete" in done.stdout
