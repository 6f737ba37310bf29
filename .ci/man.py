"""`make man`: a man page of every command, made from the commands themselves.

roff is written by hand (groff_man(7)): every character that means something to it is escaped.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadgen import __version__
from loadgen.commands import analyzer, loadgen
from loadgen.commands.help_text import every_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "dist" / "man" / "man1"
GROUPS = (loadgen.group, analyzer.group)
EXIT_CODES = {
    "0": "success",
    "1": "the run failed; all requests failing is a failed run",
    "2": "wrong usage or configuration, or an expectation of what was not measured",
    "99": "an expectation or a limit does not hold",
    "130": "interrupted; what was recorded is still reported",
}
ENVIRONMENT = {
    "LOADGEN_DIRECTOR": "directors, separated by semicolons, where none is named or configured",
    "LOADGEN_LAB": "name of the lab, as by --lab",
    "LOADGEN_TRACEBACK": "shows where a fault of the program itself happened",
}
FILES = {
    "loadgen.toml": "in the working directory, then in ~/.config: directors, for all VIPs or "
    "by VIP, and defaults of a burst"
}
_NAMED = {"\\": "\\[rs]", "-": "\\-", "'": "\\[aq]", "`": "\\[ga]", "^": "\\[ha]", "~": "\\[ti]"}


def escaped(text: str) -> str:
    """A text that roff shows as it is, in one line of ASCII."""
    shown = "".join(map(_escaped, text))
    return f"\\&{shown}" if shown.startswith(".") else shown


def _escaped(character: str) -> str:
    if not character.isprintable():
        return " "
    plain = character if character.isascii() else f"\\[u{ord(character):04X}]"
    return _NAMED.get(character, plain)


def page(path: Sequence[str], command: click.Command) -> str:
    """The page of a command.

    Args:
        path: its words, the script's first.
        command: with ``-h`` and ``--version`` (``complete_command``).
    """
    context = command.context_class(command, info_name=" ".join(path), **command.context_settings)
    title = escaped("-".join(path).upper())
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH {title} 1 "" "ipvs\\-loadgen {escaped(__version__)}" "ipvs\\-loadgen"',
        *(".nh", ".ad l"),  # a hyphen at a line's end would look like one that is typed
        *(".SH NAME", f"{escaped('-'.join(path))} \\- {escaped(_summary(command))}"),
        *(".SH SYNOPSIS", f".B {escaped(' '.join(path))}", escaped(usage)),
        *(".SH DESCRIPTION", *_paragraphs(command.help or "")),
        *(".SH OPTIONS", *_options(command, context)),
    ]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_commands(path, command, context)]
    lines += [".SH EXIT STATUS", *_list(EXIT_CODES)]
    if path[0] == "loadgen":
        lines += [".SH ENVIRONMENT", *_list(ENVIRONMENT), ".SH FILES", *_list(FILES)]
    return "\n".join([*lines, ".SH SEE ALSO", _see_also(path), ""])


def _summary(command: click.Command) -> str:
    return command.get_short_help_str(limit=1000).removesuffix(".")


def _paragraphs(text: str) -> Iterator[str]:
    r"""Paragraphs of a help text; one that begins with click's ``\\b`` keeps its lines."""
    cleaned = re.sub(r"\n{3,}", "\n\n", text.strip())
    for number, paragraph in enumerate(cleaned.split("\n\n")):
        if number:
            yield ".PP"
        first, *more = paragraph.split("\n")
        if first.strip() == "\b":
            yield from (".nf", *map(escaped, more), ".fi")
        else:
            yield escaped(" ".join(line.strip() for line in (first, *more)))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield from _entry(_marked(record[0]), record[1])


def _marked(names: str) -> str:
    """Options in bold, what they take in italics."""
    return " ".join(
        f"\\f{'B' if word.startswith('-') else 'I'}{escaped(word)}\\fR" for word in names.split()
    )


def _commands(path: Sequence[str], group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield from _entry(_reference((*path, name)), _summary(command))


def _list(items: Mapping[str, str]) -> Iterable[str]:
    return (line for name, meaning in items.items() for line in _entry(f"\\fB{name}\\fR", meaning))


def _entry(term: str, meaning: str) -> tuple[str, ...]:
    return ".TP", term, escaped(meaning.strip()) or "\\&"


def _reference(path: Sequence[str]) -> str:
    return f"\\fB{escaped('-'.join(path))}\\fR(1)"


def _see_also(path: Sequence[str]) -> str:
    above = [path[:n] for n in range(1, len(path))]
    others = [(group.name or "",) for group in GROUPS if group.name != path[0]]
    return ", ".join([*map(_reference, (*above, *others)), "\\fBipvsadm\\fR(8)"])


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    return {
        f"{'-'.join(path)}.1": page(path, command)
        for group in GROUPS
        for path, command in every_command(group)
    }


def main() -> int:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="ascii")
    sys.stdout.write(f"man -M {FOLDER.parent} loadgen-burst\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
