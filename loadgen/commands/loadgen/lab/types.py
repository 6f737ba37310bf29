"""Option types of the lab's commands."""

from __future__ import annotations

from loadgen.commands.types import ReadType, checked, matched

_RATE_UNITS = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def _bits_per_s(text: str) -> float:
    """Bits a second; 0 for no limit."""
    match = matched(r"(\d{1,9}(?:\.\d{1,6})?)([kKMG]?)", text)
    bits = float(match[1]) * _RATE_UNITS[match[2]]
    return checked(bits, holds=bits == 0 or bits >= 1000)


def _share(text: str) -> float:
    match = matched(r"(\d{1,3}(?:\.\d{1,6})?)(%?)", text)
    share = float(match[1]) / (100 if match[2] else 1)
    return checked(share, holds=share <= 1)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, matched(r"\d{1,6}(,\d{1,6}){0,31}", text)[0].split(",")))


def _sysctl(text: str) -> tuple[str, str]:
    name, equals, number = text.partition("=")
    checked(name, holds=bool(equals))
    return name.strip(), number.strip()


BIT_RATE = ReadType("rate", _bits_per_s, "bits a second such as 10M, 1000 or more")
SHARE = ReadType("share", _share, "a share such as 1% or 0.01")
NUMBERS = ReadType("n,...", _numbers, "numbers such as 1,2,3")
WORDS = ReadType("name,...", lambda text: tuple(text.split(",")))
SYSCTL = ReadType("name=value", _sysctl, "NAME=VALUE such as net.ipv4.vs.drop_entry=1")
