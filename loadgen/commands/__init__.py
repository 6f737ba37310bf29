"""The command lines: one click file per command; parse, call, print, no logic.

This module holds the one place where an error becomes a line and an exit code.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from analyzer.errors import AnalyzerError
from loadgen.commands.help_text import complete_command, write_commands
from loadgen.errors import INTERRUPTED_EXIT_CODE, LoadgenError, RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


TRACEBACK_VARIABLE = "LOADGEN_TRACEBACK"
_COLLECTED_EVERY = 250_000
"""Objects between two searches for garbage: what imports make is none, and a report of a short
recording, which makes some 140,000, need not be searched at all."""

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's algebra library starts a thread for each core, and they spin for a while with nothing to
do; what we ask of it is small."""

_OURS = (LoadgenError, AnalyzerError)


class LazyGroup(click.Group):
    """A click group that imports a command's module only when that command is asked for."""

    def __init__(self, *, lazy: Mapping[str, str], name: str, help: str) -> None:  # noqa: A002 - click's word
        super().__init__(name=name, help=help)
        self.lazy = dict(lazy)
        complete_command(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order that the group's table has them."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command behind ``package.module:attribute``, imported now."""
        from importlib import import_module

        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].partition(":")
        return complete_command(getattr(import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a name that there is not is answered with those that are like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(
                error.command_name, possibilities=self.lazy, ctx=ctx
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands and their first sentences."""
        commands = [(name, self.get_command(ctx, name)) for name in self.lazy]
        write_commands([(name, command) for name, command in commands if command], formatter)


def run_cli(group: click.Group) -> None:
    """Run a script's group and end the process with the contract's exit code."""
    from loadgen.commands.surroundings import LastStep, prepare

    last = LastStep()
    gc.set_threshold(_COLLECTED_EVERY, 20)
    for name, value in _ONE_THREAD.items():
        os.environ.setdefault(name, value)
    last.exit_code = exit_code_of(group, prepare)
    sys.exit(last.exit_code)


def exit_code_of(group: click.Group, before: Callable[[], object] = lambda: None) -> int:
    """Run a group; an error becomes one line on standard error and its exit code.

    Args:
        group: of the script.
        before: what is done first, and may fail as the command may.
    """
    from loadgen.session.terminal import flush

    try:
        before()
        result = group.main(prog_name=group.name, standalone_mode=False)
        flush()
        return result if isinstance(result, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        return 0
    except click.ClickException as error:
        return _click_exit_code(group, error)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE) and not isinstance(error, _OURS):
            raise
        line, code = line_and_code(error)
        _say_error(group.name, line)
        return code


def _click_exit_code(group: click.Group, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        context = error.ctx if isinstance(error, click.UsageError) else None
        _say_error(context.command_path if context else group.name, error.format_message())
    return error.exit_code


def _say_error(where: str | None, text: str) -> None:
    from loadgen.session.terminal import print_lines

    first, *more = text.split("\n")
    print_lines((f"{where}: {first}", *more), err=True)


def line_and_code(error: BaseException) -> tuple[str, int]:
    """What the operator reads of an error, and the exit code."""
    if isinstance(error, _OURS):
        return str(error), error.exit_code
    if isinstance(error, BaseExceptionGroup):
        return line_and_code(error.exceptions[0])
    if isinstance(error, OSError) and error.strerror:
        if error.filename:
            return f"{error.filename2 or error.filename}: {error.strerror}", UsageProblem.exit_code
        return error.strerror, RunFailed.exit_code
    if refusal := _refusal_of_machine(error):
        return refusal, UsageProblem.exit_code
    what = f"{type(error).__name__}: {error}"
    return f"a fault of ours: {what} ({TRACEBACK_VARIABLE}=1 shows where)", LoadgenError.exit_code


def _refusal_of_machine(error: BaseException) -> str | None:
    """What the machine did not allow; None for every other error."""
    if isinstance(error, MemoryError):
        return "out of memory; ulimit -v or a control group may limit it"
    if isinstance(error, ImportError) and "shared object" in str(error):
        return f"a library cannot be loaded: {error}"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return f"{error}; ulimit -u, ulimit -v or a control group may limit it"
    return None
