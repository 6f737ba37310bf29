"""Texts of a recording, rebuilt from parts that are known; everything else is ``hidden``.

A rule takes a text and the substitution, and returns what stands for it in the copy. None of them
looks for what should be hidden: each knows what may stay.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from analyzer.anonymous.vocabulary import WORDS
from analyzer.ipvs.addresses import bracketed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analyzer.anonymous.substitution import Substitution

    Rule = Callable[[str, Substitution], str]

HIDDEN, OTHER = "hidden", "other"

_NUMBER = re.compile(r"[-+]?\d{1,7}(?:\.\d{1,6})?%?", re.ASCII)
"""Short enough to be no address written as one number."""

_PORT = re.compile(r"(.+):(\d{1,5})", re.ASCII)
_KERNEL = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d{1,4}){1,2}(?![\d.])", re.ASCII)
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", re.ASCII)
_LINK = re.compile(r"(?:ssh://(?:[^@/\s]*@)?(?P<host>\[[^]]*\]|[^:/\s]+)|exec:).*", re.DOTALL)


def is_address(text: str) -> bool:
    """Whether a text is an address and nothing else."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def address(text: str, substitution: Substitution) -> str:
    """Another address; of anything else nothing."""
    return str(substitution.address(ip_address(text))) if is_address(text) else HIDDEN


def name(text: str, substitution: Substitution) -> str:
    """Another name, or another address where the name is one."""
    return address(text, substitution) if is_address(text) else substitution.name(text)


def mac(text: str, substitution: Substitution) -> str:
    """Another MAC."""
    if not _MAC.fullmatch(text):
        return HIDDEN
    octets = substitution.mac(int(text.replace(":", ""), 16)).to_bytes(6)
    return ":".join(f"{octet:02x}" for octet in octets)


def one_of(words: Iterable[str]) -> Rule:
    """A word of a fixed list."""
    known = frozenset(words)
    return lambda text, _: text if text in known else OTHER


def like(pattern: str) -> Rule:
    """What has a form that holds nothing but numbers and fixed words."""
    form = re.compile(pattern, re.ASCII)
    return lambda text, _: text if form.fullmatch(text) else HIDDEN


def kernel(text: str, _: Substitution) -> str:
    """The numbers of a kernel's release, without what its builder added."""
    release = _KERNEL.search(text)
    return release[0] if release else HIDDEN


def link(text: str, substitution: Substitution) -> str:
    """How a director is reached, with another name and without the user."""
    if text in ("local", "imported"):
        return text
    match = _LINK.fullmatch(text)
    if match is None:
        return HIDDEN
    host = (match["host"] or "").strip("[]")
    return f"ssh://{name(host, substitution)}" if host else f"exec:{substitution.name(text)}"


def host_of(text: str) -> str | None:
    """The host that a link leads to, if it has a name."""
    match = _LINK.fullmatch(text)
    host = (match["host"] or "").strip("[]") if match else ""
    return host if host and not is_address(host) else None


def sentence(text: str, substitution: Substitution) -> str:
    """Numbers, words of our own messages, addresses and names, the last two replaced."""
    parts = (_part(word, substitution) for word in text.split())
    made: list[str] = []
    for part in parts:
        if part != HIDDEN or made[-1:] != [HIDDEN]:
            made.append(part)
    return " ".join(made)


def _part(word: str, substitution: Substitution) -> str:
    core = word.strip("()[],:;.") if not word.startswith("[") else word.rstrip(",;.:")
    before, _, after = word.partition(core) if core else (word, "", "")
    known = _core(core, substitution) if core else ""
    return HIDDEN if known == HIDDEN else f"{before}{known}{after}"


def _core(core: str, substitution: Substitution) -> str:
    if _NUMBER.fullmatch(core) or core in WORDS:
        return core
    if is_address(core):
        return address(core, substitution)
    if core in substitution.names:
        return substitution.name(core)
    end = _PORT.fullmatch(core)
    if end and is_address(host := end[1].removeprefix("[").removesuffix("]")):
        other = address(host, substitution)
        return f"{bracketed(other)}:{end[2]}"
    return HIDDEN
