"""``run.json`` without names, addresses and free text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analyzer.anonymous.tables import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.anonymous.substitution import Substitution
    from analyzer.recording.manifest import Manifest

HIDDEN = "hidden"
HIDDEN_KEYS = frozenset({"path", "url", "urls", "headers", "header", "body", "payload", "user"})
"""Keys of what was requested from servers: full of names, and no figure needs it."""

_PLAIN = re.compile(r"[0-9][0-9.,]*(?:ms|[smhkKMGT%])?(?:/s)?")
_OPTION = re.compile(r"(--?[A-Za-z][A-Za-z0-9-]*)(?:=(.*))?", re.DOTALL)
_LINK = re.compile(r"(?:ssh://(?:[^@/\s]*@)?(?P<host>\[[^]]*\]|[^:/\s]+)|exec:).*", re.DOTALL)


def names_in(manifest: Manifest) -> Iterator[str]:
    """The names in a manifest: directors, hosts, sites, the lab, links and their ends."""
    yield from manifest.directors
    request = manifest.plan.request
    names = (manifest.lab, manifest.host.name, request.authority, request.server_name)
    yield from (name for name in names if name is not None)
    for text in _texts(manifest.raw):
        if link := _LINK.fullmatch(text):
            yield text
            if link["host"] and not is_address(link["host"].strip("[]")):
                yield link["host"]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def anonymous_manifest(manifest: Manifest, substitution: Substitution) -> dict[str, Any]:
    """A manifest with names replaced, and free words of the command line hidden."""
    copy = {key: _anonymous(key, value, substitution) for key, value in manifest.raw.items()}
    if manifest.command_line is not None:
        copy["command_line"] = [
            _argument(word, manifest, substitution) for word in manifest.command_line
        ]
    return copy


def _anonymous(key: str, value: Any, substitution: Substitution) -> Any:
    if isinstance(value, dict):
        are_names = value.keys() <= substitution.names
        return {
            substitution.text(inner) if are_names or is_address(inner) else inner: _anonymous(
                inner, each, substitution
            )
            for inner, each in value.items()
        }
    if key in HIDDEN_KEYS and value and value != "/":
        return HIDDEN
    if isinstance(value, list):
        return [_anonymous("", each, substitution) for each in value]
    return substitution.text(value) if isinstance(value, str) else value


def _argument(word: str, manifest: Manifest, substitution: Substitution) -> str:
    """A word of the command line: options, numbers, addresses are kept, anything else hidden."""
    option = _OPTION.fullmatch(word)
    if option:
        value = option[2]
        return option[1] + (f"={_argument(value, manifest, substitution)}" if value else "")
    if is_address(word) or word in substitution.names:
        return substitution.text(word)
    return word if _PLAIN.fullmatch(word) or word == manifest.command else HIDDEN
