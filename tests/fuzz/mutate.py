"""Ways to damage bytes, texts and JSON documents."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

EVIL = [
    *(b"\x00", b"\xff", b"\x1b[2J", b"\r", b"\r\n", b"\n", b"\t", b"\xc2\xa0", b"\xef\xbf\xbd"),
    *(b"-1", b"4294967296", b"99999999999999999999999", b"0x10", b"1e9", b"nan", b"FFFFFFFF"),
    *(b"[", b"]", b":", b"::", b"[::]:0", b"->", b"(", b",,", b"%s", b"\\", b"'", b"{}", b"#"),
    *(b"persistent", b"mask", b"pe", b"ops", b"IPv6", b"FWM  ", b"MATCH ", b"-A -t ", b" K", b"T"),
    *(b"\\ud800", b"18446744073709551615", b"=", b'"', b"[[", b"\xf0\x9f\x92\xa9"),
    "\u0661\u0662\u0663".encode(),  # digits, to str.isdigit
    "\u2028".encode(),
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 1, 0.5, -0.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30),
    *("", "x", "\ud800", "\x00", "-1", "::1", "999.1.1.1", "x" * 100_000, "</script>"),
    *([], {}, [None], [[]], {"": None}, [0] * 1000),
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


def repeat(data: bytes, chance: random.Random) -> bytes:
    """A piece of it many times."""
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randint(1, 80)]
    return data[:start] + piece * chance.choice((2, 20, 2000)) + data[start:]


def swap_words(data: bytes, chance: random.Random) -> bytes:
    """Two words exchanged."""
    words = data.split(b" ")
    one, other = chance.randrange(len(words)), chance.randrange(len(words))
    words[one], words[other] = words[other], words[one]
    return b" ".join(words)


def shuffle(data: bytes, chance: random.Random) -> bytes:
    """The lines in another order."""
    lines = data.splitlines(True)
    chance.shuffle(lines)
    return b"".join(lines)


def collapse(data: bytes, chance: random.Random) -> bytes:
    """Blanks, or newlines, gone."""
    return data.replace(*chance.choice([(b"  ", b" "), (b" ", b""), (b"\n", b" "), (b":", b" ")]))


OF_BYTES: list[Callable[[bytes, random.Random], bytes]] = [cut, flip, flip, drop, insert, repeat]
OF_TEXT = [*OF_BYTES, insert, swap_words, shuffle, collapse]


def damaged(data: bytes, chance: random.Random, ways: Any = OF_BYTES) -> bytes:
    """One to four things done to it."""
    for way in chance.choices(ways, k=chance.randint(1, 4)):
        data = way(data, chance)
    return data


def damaged_json(document: Any, chance: random.Random) -> Any:
    """A copy with one to three values replaced, or keys removed."""
    changed = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(changed))
        if not places:
            return chance.choice(VALUES)
        holder, key = chance.choice(places)
        if isinstance(holder, dict) and chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield value, key
        yield from _places(value[key])


def to_bytes(document: Any) -> bytes:
    """As a file, half characters too."""
    return json.dumps(document).encode()
