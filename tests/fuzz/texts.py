"""Texts of ipvsadm and /proc/net/ip_vs*: the reader takes all, and what it returns is possible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.documents import to_json
from analyzer.ipvs.ipvsadm import ParsedDocument, decode, parse
from analyzer.ipvs.proc.formats import parse_entries, parse_services
from tests.fuzz.mutate import OF_TEXT, damaged

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

TEXTS = [
    file.read_bytes() for file in sorted((Path(__file__).parents[1] / "data/texts").glob("*.txt"))
]
MAX_LINES = 14
LIMITS = {"port": 65535, "fwmark": 2**32 - 1, "ttl": 255}


def attempt(chance: random.Random, _folder: Path) -> None:
    """One text through the patient reader and both of the poller's."""
    text = decode(damaged(_piece(chance) + _piece(chance), chance, OF_TEXT))
    assert is_possible(to_json(parse(text), ParsedDocument))
    parse_services(text)
    parse_entries(text)


def _piece(chance: random.Random) -> bytes:
    """Some lines of a real text; often with its titles."""
    lines = chance.choice(TEXTS).splitlines(True)
    start = chance.choice((0, chance.randrange(len(lines))))
    return b"".join(lines[start : start + chance.randint(1, MAX_LINES)])


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with the key it has."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, key)
    else:
        yield key, value


def is_possible(document: dict[str, Any]) -> bool:
    """Whether a document says nothing that no director could."""
    json.dumps(document, allow_nan=False)
    for key, value in _leaves(document):
        if isinstance(value, str) and any(ord(each) < 32 for each in value) and key != "error":
            return False
        if key in LIMITS and value is not None and not 0 <= value <= LIMITS[key]:
            return False
    return len(document["warnings"]) <= 1001
