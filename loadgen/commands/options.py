"""Click's values as one frozen object: a field of each flag, so that types reach the commands."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Options = TypeVar("Options")


def options_as(kind: type[Options], values: Mapping[str, Any], **parts: object) -> Options:
    """A dataclass of options, its fields taken from click's values by name.

    Args:
        kind: a dataclass.
        values: of all parameters of the command.
        parts: the fields that are options of their own, shared by commands.

    Raises:
        KeyError: the command has no parameter of a field's name.
    """
    names = [field.name for field in fields(kind) if field.name not in parts]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names}, **parts)
