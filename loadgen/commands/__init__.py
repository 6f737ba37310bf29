"""The command lines: one click file per command; parse, call, print, no logic.

This module holds the one place where an error becomes a line and an exit code.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from analyzer.errors import AnalyzerError
from loadgen.errors import INTERRUPTED_EXIT_CODE, LoadgenError

if TYPE_CHECKING:
    from collections.abc import Mapping


TRACEBACK_VARIABLE = "LOADGEN_TRACEBACK"


class LazyGroup(click.Group):
    """A click group that imports a command's module only when that command is asked for."""

    def __init__(self, *, lazy: Mapping[str, str], name: str, help: str) -> None:  # noqa: A002 - click's word
        super().__init__(name=name, help=help)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order that the group's table has them."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command behind ``package.module:attribute``, imported now."""
        from importlib import import_module

        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


def run_cli(group: click.Group) -> None:
    """Run a script's group and end the process with the contract's exit code."""
    sys.exit(exit_code_of(group))


def exit_code_of(group: click.Group) -> int:
    """Run a group; an error of ours becomes one line on standard error and its exit code."""
    try:
        result = group.main(prog_name=group.name, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        return 0
    except click.ClickException as error:
        return _click_exit_code(group, error)
    except (LoadgenError, AnalyzerError) as error:
        _say_error(group.name, str(error))
        return error.exit_code
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        what = f"{type(error).__name__}: {error}"
        _say_error(group.name, f"a fault of ours: {what} ({TRACEBACK_VARIABLE}=1 shows where)")
        return LoadgenError.exit_code


def _click_exit_code(group: click.Group, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        context = error.ctx if isinstance(error, click.UsageError) else None
        _say_error(context.command_path if context else group.name, error.format_message())
    return error.exit_code


def _say_error(where: str | None, text: str) -> None:
    click.echo(f"{where}: {text}", err=True)
