"""Defaults of a command's options that ``loadgen.toml`` has, under their long names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Collection

NOT_CONFIGURED = {"version", "directors", "agreed", "as_json"}
"""By parameter: what asks for something else, has a place of its own, or is an operator's consent
to one run."""

YIELDS_TO = {
    "url": ("vips", "targets", "port", "tls", "path"),
    "vips": ("url", "targets"),
    "targets": ("url", "vips"),
    "stages": ("rate", "duration"),
    "rate": ("stages",),
    "duration": ("stages",),
    "only_ipv4": ("only_ipv6",),
    "only_ipv6": ("only_ipv4",),
}
"""What was given on the command line, and the defaults that do not go together with it."""


class CommandWithDefaults(click.Command):
    """A command whose options may have defaults in ``[burst]`` of ``loadgen.toml``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but with the configured defaults below what is given."""
        given = _given(self, ctx, args)
        asks_for_something_else = any(parameter.is_eager for parameter in given)  # --help
        if not (ctx.resilient_parsing or asks_for_something_else):
            names = {str(parameter.name) for parameter in given}
            ctx.default_map = {**(ctx.default_map or {}), **_defaults(self, ctx, names)}
        return super().parse_args(ctx, args)


def _given(command: click.Command, ctx: click.Context, args: list[str]) -> list[click.Parameter]:
    """The options and arguments of the command line."""
    values, _, parameters = command.make_parser(ctx).parse_args(list(args))
    return [
        parameter
        for parameter in parameters
        if isinstance(parameter, click.Option) or _is_there(values.get(str(parameter.name)))
    ]


def _is_there(value: object) -> bool:
    """Whether an argument was given, by what click's parser has for it."""
    return isinstance(value, str) or (isinstance(value, tuple | list) and len(value) > 0)


def _takes_many(parameter: click.Parameter) -> bool:
    return parameter.multiple or parameter.nargs == -1


def _defaults(command: click.Command, ctx: click.Context, given: Collection[str]) -> dict[str, Any]:
    """Checked defaults by parameter; a line says which are in force.

    Raises:
        UsageProblem: an unknown key, or a value that its option does not take.
    """
    from loadgen.session.configuration import burst_defaults, check_keys
    from loadgen.session.terminal import report_progress

    found = burst_defaults()
    if found is None:
        return {}
    file, section = found
    where = f"{file}: [burst]"
    by_key = {key_of(p): p for p in command.params if p.name not in NOT_CONFIGURED}
    values = {key.replace("_", "-"): value for key, value in section.items()}
    check_keys(where, values, by_key)
    yielding = {name for option in given for name in YIELDS_TO.get(option, ())}
    in_force = {
        key: _checked(f"{where} {key}", by_key[key], ctx, value) for key, value in values.items()
    }
    in_force = {
        key: value
        for key, value in in_force.items()
        if by_key[key].name not in given and by_key[key].name not in yielding
    }
    if in_force:
        report_progress(f"{where}: {', '.join(in_force)}")
    return {str(by_key[key].name): value for key, value in in_force.items()}


def key_of(parameter: click.Parameter) -> str:
    """The long name of an option, without dashes; that of its value where it has none."""
    names = [name for name in parameter.opts if name.startswith("--")]
    return names[0].removeprefix("--") if names else (parameter.name or "").replace("_", "-")


def _checked(where: str, parameter: click.Parameter, ctx: click.Context, value: object) -> object:
    """The value as the command line would have it.

    Raises:
        UsageProblem: the option does not take it.
    """
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    if is_flag != isinstance(value, bool):
        raise UsageProblem(
            f"{where}: expected {'true or false' if is_flag else 'a text or number'}"
        )
    many = value if isinstance(value, list) else [value]
    if (isinstance(value, list) and not _takes_many(parameter)) or not all(
        isinstance(one, (str, int, float)) for one in many
    ):
        raise UsageProblem(f"{where}: expected a text or number")
    plain: Any = many if _takes_many(parameter) else value
    try:
        parameter.type_cast_value(ctx, plain)
    except click.BadParameter as error:
        raise UsageProblem(f"{where}: {error.message}") from error
    return plain
