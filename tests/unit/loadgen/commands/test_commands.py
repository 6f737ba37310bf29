"""The one place where an error becomes a line and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import pytest

from analyzer.errors import ParseError, RecordingError
from loadgen.commands import LazyGroup, exit_code_of, run_cli
from loadgen.director.links.shell import LinkLost
from loadgen.errors import CheckFailed, LoadgenError, RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable


def group_of(body: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    """A script ``tool`` with one command, which is being run."""
    command = click.Command("do", callback=body)
    monkeypatch.setattr(sys, "argv", ["tool", "do"])
    monkeypatch.setitem(globals(), "the_command", command)
    return LazyGroup(name="tool", help="", lazy={"do": f"{__name__}:the_command"})


def raiser(error: BaseException) -> Callable[[], object]:
    def body() -> object:
        raise error

    return body


CODES = [
    (UsageProblem("no such director"), 2),
    (RunFailed("nothing answered"), 1),
    (CheckFailed("tcpfin is 20"), 99),
    (LoadgenError("something"), 1),
    (LinkLost("the link was closed"), 1),
    (RecordingError("no run.json there"), 2),
    (ParseError("not a pcap file"), 2),
    (click.UsageError("no such option"), 2),
    (click.BadParameter("expected a number"), 2),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: repr(value)[:40])
def test_an_error_is_one_line_on_standard_error_and_its_exit_code(
    error: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code_of(group_of(raiser(error), monkeypatch)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert err.startswith("tool")
    assert message in err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.exceptions.Abort()])
def test_an_interruption_is_130(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code_of(group_of(raiser(error), monkeypatch)) == 130


def test_a_reader_who_has_gone_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code_of(group_of(raiser(BrokenPipeError()), monkeypatch)) == 0


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), ZeroDivisionError("x"), KeyError("y")]
)
def test_any_other_error_is_one_line_too_and_no_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOADGEN_TRACEBACK", raising=False)
    assert exit_code_of(group_of(raiser(error), monkeypatch)) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1), (130, 130), ("x", 0)])
def test_a_command_may_give_its_exit_code(
    result: object, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of(lambda: result, monkeypatch)
    assert exit_code_of(group) == code
    with pytest.raises(SystemExit) as caught:
        run_cli(group)
    assert (caught.value.code or 0) == code


def test_a_command_that_there_is_not_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = group_of(lambda: None, monkeypatch)
    monkeypatch.setattr(sys, "argv", ["tool", "undo"])
    assert exit_code_of(group) == 2
    assert "undo" in capsys.readouterr().err


def test_a_command_is_imported_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    group = LazyGroup(name="tool", help="", lazy={"a": "nowhere.at.all:a", "b": "nowhere:b"})
    context = click.Context(group)
    assert group.list_commands(context) == ["a", "b"]
    assert group.get_command(context, "c") is None
    with pytest.raises(ModuleNotFoundError):
        group.get_command(context, "a")
