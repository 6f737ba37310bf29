"""The documents that ``--json`` prints: frozen values, encoded by msgspec and described by it.

Modules of such types do not postpone their annotations (``from __future__ import annotations``):
the schema is made from them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonDocument:
    """What one command prints; the fields, in their order, are its keys."""

    schema_version: Literal[1] = 1


def to_json(
    document: JsonDocument, kind: type[JsonDocument] | None = None, decimals: int | None = None
) -> dict[str, Any]:
    """A document as plain values: dicts, lists, numbers, strings, None.

    Args:
        document: what is printed.
        kind: a base of its type, to leave out all other fields.
        decimals: to which numbers are rounded; None leaves them as they are.
    """
    values = {each.name: getattr(document, each.name) for each in fields(kind or document)}
    text = json.dumps(msgspec.to_builtins(values, enc_hook=_builtin))
    number = float if decimals is None else lambda digits: round(float(digits), decimals)
    return cast("dict[str, Any]", json.loads(text, parse_float=number))


def as_text(plain: Mapping[str, Any], indent: int | None = None) -> str:
    """The plain values as JSON, of one line without an indent.

    Characters that could steer a terminal (C1 controls, marks of direction) and lone surrogates
    stand as JSON's escapes.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent)
    return re.sub(r"[^\n -~]", lambda found: _character(found[0]), text)


def _character(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _builtin(value: Any) -> Any:
    """The values of another mapping than a dict, of a numpy number or array."""
    return dict(value) if isinstance(value, Mapping) else value.tolist()
