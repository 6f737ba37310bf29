"""Real texts, broken in every way that comes to mind, through ``analyzer parse``'s reader.

It must never raise, and what it returns must be possible: ports that exist, numbers in range,
text without control characters, warnings within bounds. ``FUZZ_INPUTS`` sets how many and
``FUZZ_SEED`` which; a failure prints the input.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.documents import to_json
from analyzer.ipvs.ipvsadm import ParsedDocument, decode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXTS = [
    file.read_bytes() for file in sorted((Path(__file__).parents[1] / "data/texts").glob("*.txt"))
]
INPUTS = int(os.environ.get("FUZZ_INPUTS", "120000"))
SEED = int(os.environ.get("FUZZ_SEED", "4"))
MAX_LINES = 14
EVIL = [
    *(b"\x00", b"\xff", b"\x1b[2J", b"\r", b"\r\n", b"\n", b"\t", b"\xc2\xa0", b"\xef\xbf\xbd"),
    *(b"-1", b"4294967296", b"99999999999999999999999", b"0x10", b"1e9", b"nan", b"FFFFFFFF"),
    *(b"[", b"]", b":", b"::", b"[::]:0", b"->", b"(", b",,", b"%s", b"\\", b"'", b"{}", b"#"),
    *(b"persistent", b"mask", b"pe", b"ops", b"IPv6", b"FWM  ", b"MATCH ", b"-A -t ", b" K", b"T"),
    "\u0661\u0662\u0663".encode(),  # digits, to str.isdigit
    "\u2028".encode(),
]


def cut(data: bytes, chance: random.Random) -> bytes:
    """The beginning of it."""
    return data[: chance.randrange(len(data) + 1)]


def flip(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6) if changed else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def drop(data: bytes, chance: random.Random) -> bytes:
    """A piece taken out."""
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.randint(1, 40) :]


def insert(data: bytes, chance: random.Random) -> bytes:
    """Something evil put in."""
    start = chance.randrange(len(data) + 1)
    return data[:start] + chance.choice(EVIL) * chance.choice((1, 1, 1, 3, 300)) + data[start:]


def swap_words(data: bytes, chance: random.Random) -> bytes:
    """Two words exchanged."""
    words = data.split(b" ")
    one, other = chance.randrange(len(words)), chance.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return b" ".join(words)


def splice(data: bytes, chance: random.Random) -> bytes:
    """Lines of another text among these."""
    lines, others = data.splitlines(True), piece(chance).splitlines(True)
    start = chance.randrange(len(lines) + 1)
    return b"".join(lines[:start] + others[: chance.randint(1, 4)] + lines[start:])


def shuffle(data: bytes, chance: random.Random) -> bytes:
    """The lines in another order."""
    lines = data.splitlines(True)
    chance.shuffle(lines)
    return b"".join(lines)


def collapse(data: bytes, chance: random.Random) -> bytes:
    """Blanks, or newlines, gone."""
    return data.replace(*chance.choice([(b"  ", b" "), (b" ", b""), (b"\n", b" "), (b":", b" ")]))


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    *(cut, flip, flip, drop, insert, insert, swap_words, splice, shuffle, collapse),
]


def piece(chance: random.Random) -> bytes:
    """Some lines of a real text; often with its titles."""
    lines = chance.choice(TEXTS).splitlines(True)
    start = chance.choice((0, chance.randrange(len(lines))))
    return b"".join(lines[start : start + chance.randint(1, MAX_LINES)])


def mutated(chance: random.Random) -> bytes:
    """A piece with one to four things done to it."""
    data = piece(chance)
    for mutation in chance.choices(MUTATIONS, k=chance.randint(1, 4)):
        data = mutation(data, chance)
    return data


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with the key it has."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, key)
    else:
        yield key, value


LIMITS = {"port": 65535, "fwmark": 2**32 - 1, "ttl": 255}


def is_possible(document: dict[str, Any]) -> bool:
    """Whether a document says nothing that no director could."""
    json.dumps(document, allow_nan=False)
    for key, value in leaves(document):
        if isinstance(value, str) and any(ord(one) < 32 for one in value) and key != "error":
            return False
        if key in LIMITS and value is not None and not 0 <= value <= LIMITS[key]:
            return False
    return len(document["warnings"]) <= 1001


def test_fuzz_parse() -> None:
    chance = random.Random(SEED)
    understood = bytes_in = 0
    began = time.perf_counter()
    for _ in range(INPUTS):
        data = mutated(chance)
        try:
            parsed = parse(decode(data))
            assert is_possible(to_json(parsed, ParsedDocument))
        except Exception:
            click.echo(f"\nthe input: {data!r}")
            raise
        understood += bool(parsed.lines_understood)
        bytes_in += len(data)
    took = time.perf_counter() - began
    click.echo(
        f"\nparse: {INPUTS} mutated texts, {bytes_in / 1e6:.0f} MB, {took:.1f} s, "
        f"{INPUTS / took:.0f} texts/s, something understood in {understood / INPUTS:.0%}"
    )
