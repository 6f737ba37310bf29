"""``run.json`` without names and addresses, and whatever else people wrote into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analyzer.anonymous.tables import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.anonymous.substitution import Substitution

HIDDEN = "hidden"
HIDDEN_KEYS = frozenset({"path", "url", "urls", "headers", "header", "body", "payload", "user"})
"""What was asked of a server: nothing that a figure needs, and full of names."""

_PLAIN = re.compile(r"[0-9][0-9.,]*(?:ms|[smhkKMGT%])?(?:/s)?")
_OPTION = re.compile(r"(--?[A-Za-z][A-Za-z0-9-]*)(?:=(.*))?", re.DOTALL)
_LINK = re.compile(r"(?:ssh://(?:[^@/\s]*@)?(?P<host>\[[^]]*\]|[^:/\s]+)|exec:).*", re.DOTALL)


def names_in(manifest: Mapping[str, Any]) -> Iterator[str]:
    """The names that a manifest tells: directors, hosts, sites, the lab, links and their ends."""
    directors = manifest.get("directors")
    yield from directors if isinstance(directors, dict) else ()
    asked = (manifest.get("plan") or {}).get("request") or {}
    told = (asked.get(key) for key in ("authority", "server_name"))
    for holder in (manifest.get("lab"), (manifest.get("host") or {}).get("name"), *told):
        if isinstance(holder, str):
            yield holder
    for text in _texts(manifest):
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


def anonymous_manifest(manifest: Mapping[str, Any], substitution: Substitution) -> dict[str, Any]:
    """A manifest with what names somebody replaced, and free words of the command line hidden."""
    told = {key: _anonymous(key, value, substitution) for key, value in manifest.items()}
    line = manifest.get("command_line")
    if isinstance(line, list):
        told["command_line"] = [_argument(str(word), manifest, substitution) for word in line]
    return told


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


def _argument(word: str, manifest: Mapping[str, Any], substitution: Substitution) -> str:
    """An option by its name, a number, the command, or an address; anything else is hidden."""
    option = _OPTION.fullmatch(word)
    if option:
        value = option[2]
        return option[1] + (f"={_argument(value, manifest, substitution)}" if value else "")
    if is_address(word) or word in substitution.names:
        return substitution.text(word)
    return word if _PLAIN.fullmatch(word) or word == manifest.get("command") else HIDDEN
