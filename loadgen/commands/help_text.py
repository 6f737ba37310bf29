"""What every command has without asking: ``-h``, ``--version``, and help that breaks at blanks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HELP_OPTIONS = ["-h", "--help"]
_NO_BREAK = "\u2011"
"""A hyphen that no line is broken at; it stands in for the plain one while lines are made."""


class HelpFormatter(click.HelpFormatter):
    """Click's, but for words with hyphens: ``reset-syn`` stands on one line, as it is typed."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """A usage line."""
        super().write_usage(prog, _kept(args), prefix)

    def write_text(self, text: str) -> None:
        """A paragraph."""
        super().write_text(_kept(text))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """A list of terms and what they mean."""
        kept = [(term, _kept(meaning)) for term, meaning in rows]
        super().write_dl(kept, col_max, col_spacing)

    def getvalue(self) -> str:
        """The text that was written."""
        return super().getvalue().replace(_NO_BREAK, "-")


def _kept(text: str) -> str:
    return text.replace("-", _NO_BREAK)


class HelpContext(click.Context):
    """A context whose help is laid out by ``HelpFormatter``."""

    formatter_class = HelpFormatter


def complete_command(command: click.Command) -> click.Command:
    """The command with what every command has; done once however often it is asked for."""
    command.context_class = HelpContext
    command.context_settings.setdefault("help_option_names", HELP_OPTIONS)
    if not any(parameter.name == "version" for parameter in command.params):
        command.params.append(version_option())
    return command


def version_option() -> click.Option:
    """``--version``: the script's name and the program's version."""
    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Show the version and exit.",
    )


def _print_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from loadgen import __version__
    from loadgen.session.terminal import print_line

    print_line(f"{context.find_root().info_name} {__version__}")
    context.exit()


def write_commands(
    commands: Sequence[tuple[str, click.Command]], formatter: click.HelpFormatter
) -> None:
    """A group's commands, each with its first sentence, which is wrapped and never cut."""
    rows = [(name, command.get_short_help_str(limit=1000)) for name, command in commands]
    if rows:
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def every_command(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A script's group and all commands below it, each with its words: ``("loadgen", "lab")``."""
    path = (*path, group.name or "")
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, path)
        elif command is not None:
            yield (*path, name), command
