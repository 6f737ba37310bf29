"""The documents that ``--json`` prints: frozen values, encoded by msgspec and described by it.

Modules of such types do not postpone their annotations (``from __future__ import annotations``):
the schema is made from them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast, get_args, get_origin

import msgspec
import msgspec.structs

_ROWS = 1000
"""Of a long document, to encode at a time."""


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
    return _shown(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent))


def as_pieces(document: JsonDocument, kind: type[JsonDocument]) -> Iterator[str]:
    """What ``as_text(to_json(document, kind))`` returns, a thousand rows at a time.

    Args:
        document: without numbers that are not whole: they would be written in another way.
        kind: a base of its type, to leave out all other fields.
    """
    yield from _object(document, [each.name for each in fields(kind)])


def _object(value: Any, names: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        yield f'{", " if number else "{"}"{name}": '
        part = getattr(value, name)
        yield from _list(part) if isinstance(part, tuple) else [_encoded(part)]
    yield "}"


def _list(rows: Sequence[Any]) -> Iterator[str]:
    yield "["
    for number, group in enumerate(_groups(rows)):
        yield ", " if number else ""
        if len(group) == 1 and (names := _names(type(group[0]))):
            yield from _object(group[0], names)
        else:
            yield _encoded(group)[1:-1]
    yield "]"


def _groups(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Rows that have about a thousand others in them; a row of very many stands alone."""
    sequences = _sequences(type(rows[0])) if rows else ()
    group: list[Any] = []
    size = 0
    for row in rows:
        others = 0
        for name in sequences:
            others += len(getattr(row, name) or ())
        if group and size + others >= _ROWS:
            yield group
            group, size = [], 0
        group.append(row)
        size += 1 + others
    if group:
        yield group


def _names(kind: type) -> tuple[str, ...]:
    """The fields of a struct; nothing of another type."""
    return tuple(getattr(kind, "__struct_fields__", ()))


def _sequences(kind: type) -> tuple[str, ...]:
    """The fields of a struct that hold tuples, if they hold anything."""
    if not issubclass(kind, msgspec.Struct):
        return ()
    return tuple(
        field.name
        for field in msgspec.structs.fields(kind)
        if any(get_origin(known) is tuple for known in (field.type, *get_args(field.type)))
    )


def _encoded(value: Any) -> str:
    return _shown(msgspec.json.format(msgspec.json.encode(value), indent=0).decode())


def _shown(text: str) -> str:
    if text.isascii() and "\x7f" not in text:  # JSON escapes all other controls of ASCII itself
        return text
    return re.sub(r"[^\n -~]", lambda found: _character(found[0]), text)


def _character(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _builtin(value: Any) -> Any:
    """The values of another mapping than a dict, of a numpy number or array."""
    return dict(value) if isinstance(value, Mapping) else value.tolist()
