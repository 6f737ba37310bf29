"""Texts of ipvsadm and /proc/net/ip_vs*: the reader takes all, and what it returns is possible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.conntrack.proc import read_conntrack
from analyzer.conntrack.services import ServicesSeen
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
TRACKED = b"""\
ipv4     2 tcp      6 118 TIME_WAIT src=192.168.10.250 dst=192.168.10.2 sport=35888 dport=80 \
src=192.168.20.22 dst=192.168.10.250 sport=80 dport=35888 [ASSURED] mark=0 zone=0 use=2
ipv4     2 udp      17 29 src=192.168.10.250 dst=192.168.10.2 sport=40001 dport=7 [UNREPLIED] \
src=192.168.20.21 dst=192.168.10.250 sport=7 dport=40001 mark=0 zone=0 use=2
ipv6     10 tcp      6 9 CLOSE src=fd00:0010:0000:0000:0000:0000:0000:00fa \
dst=fd00:0010:0000:0000:0000:0000:0000:0002 sport=41000 dport=80 \
src=fd00:0020:0000:0000:0000:0000:0000:0021 dst=fd00:0010:0000:0000:0000:0000:0000:00fa \
sport=80 dport=41000 packets=3 bytes=164 [OFFLOAD] mark=0 secctx=null zone=0 use=2
ipv4     2 unknown  112 599 src=192.168.10.11 dst=224.0.0.18 [UNREPLIED] src=224.0.0.18 \
dst=192.168.10.11 mark=0 zone=0 use=2
"""
MAX_LINES = 14
LIMITS = {"port": 65535, "fwmark": 2**32 - 1, "ttl": 255}


def attempt(chance: random.Random, _folder: Path) -> None:
    """One text through the patient reader and both of the poller's."""
    text = decode(damaged(_piece(chance) + _piece(chance), chance, OF_TEXT))
    assert is_possible(to_json(parse(text), ParsedDocument))
    parse_services(text)
    parse_entries(text)
    tracked = read_conntrack(damaged(TRACKED * chance.randint(1, MAX_LINES), chance, OF_TEXT))
    services = ServicesSeen().update(tracked.rows)
    assert all(0 <= (service.port or 0) <= LIMITS["port"] for service in services)


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
