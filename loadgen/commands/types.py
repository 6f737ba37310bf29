"""Option types that both scripts share."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from analyzer.forecast.closings import Close
    from analyzer.ipvs.states import Timeouts
    from loadgen.collect.keep import Keep
    from loadgen.live.selection import Filter

T = TypeVar("T")

MAX_SHARES = 64
MAX_SECONDS = 32
MAX_TIMEOUT_S = 31 * 86400
MIN_SIZE_BYTES = 4_000_000
FORWARDING_WAYS = ("dr", "nat", "tun")
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS_S = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600}
_NUMBER = r"\d{1,12}(?:\.\d{1,6})?"


class ReadType(click.ParamType[T]):
    """An option type made of a function that reads the text."""

    def __init__(self, name: str, read: Callable[[str], T], expected: str = "") -> None:
        """A type.

        Args:
            name: the metavar in the help, in lower case.
            read: text to value; raises ValueError for what it does not understand.
            expected: what it does understand, for the error.
        """
        self.name = name
        self._read = read
        self._expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The value of a text or of a default's number; a value that was read before stays."""
        if not isinstance(value, (str, int, float)):
            return value  # type: ignore[no-any-return]
        try:
            return self._read(str(value))
        except ValueError:
            self.fail(f"{value!r}: expected {self._expected}", param, ctx)


class PathType(click.Path):
    """A path; an empty text is none, though pathlib takes it for the directory that we are in."""

    def __init__(
        self,
        *,
        exists: bool = False,
        file_okay: bool = True,
        dir_okay: bool = True,
        allow_dash: bool = False,
    ) -> None:
        """As click's; values are pathlib's."""
        super().__init__(
            exists=exists,
            file_okay=file_okay,
            dir_okay=dir_okay,
            allow_dash=allow_dash,
            path_type=Path,
        )

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path of a text."""
        if value == "":
            self.fail("expected a path, not an empty text", param, ctx)
        return super().convert(value, param, ctx)


def matched(pattern: str, text: str, flags: int = 0) -> re.Match[str]:
    """The match of the whole text.

    Raises:
        ValueError: it does not match.
    """
    match = re.fullmatch(pattern, text, flags)
    if match is None:
        raise ValueError(text)
    return match


def checked(value: T, *, holds: bool) -> T:
    """The value, if the condition holds.

    Raises:
        ValueError: it does not.
    """
    if not holds:
        raise ValueError(value)
    return value


def pattern_type(name: str, pattern: str, expected: str) -> ReadType[str]:
    """A text of a given form, unchanged."""
    return ReadType(name, lambda text: matched(pattern, text)[0], expected)


def _duration_s(text: str) -> float:
    match = matched(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|)", text)
    return float(match[1]) * _UNITS_S[match[2]]


def _span_s(text: str) -> float:
    """Of at most 31 days, as ipvsadm limits a timeout."""
    seconds = DURATION.convert(text, None, None)
    return checked(seconds, holds=1e-3 <= seconds <= MAX_TIMEOUT_S)


def _size_bytes(text: str) -> int:
    match = matched(r"(\d{1,15})([kMGT]?)B?", text)
    size_bytes = int(match[1]) * _SIZES[match[2]]
    return checked(size_bytes, holds=size_bytes >= MIN_SIZE_BYTES)


def _keep(text: str) -> Keep:
    from loadgen.collect.keep import Keep

    if re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?[smh]", text):
        return Keep(text=text, seconds=SPAN.convert(text, None, None))
    matched(r"\d{1,15}[kMGT]?B?", text)
    return Keep(text=text, size_bytes=SIZE.convert(text, None, None))


def _filter(text: str) -> Filter:
    from loadgen.live.selection import parse_filter

    return parse_filter(text)


def _per_s(text: str) -> float:
    rate = float(matched(r"(\d{1,9}(?:\.\d{1,6})?)(?:/s)?", text)[1])
    return checked(rate, holds=rate > 0)


def _close_mix(text: str) -> dict[Close, float]:
    """The weight of each closing kind; they need not add up to 100."""
    from analyzer.forecast.closings import CLOSES

    parts = [part.partition("=") for part in text.split(",")]
    weights: dict[Close, float] = {}
    try:
        for name, equals, weight in parts:
            digits = matched(r"\d{1,9}(\.\d{1,6})?", weight or ("" if equals else "1"))[0]
            close = next((known for known in CLOSES if known == name), None)
            if close is None or close in weights:
                raise ValueError(name)
            weights[close] = float(digits)
        several = len(parts) > 1
        return checked(weights, holds=sum(weights.values()) > 0 and ("=" in text or not several))
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: expected one of {', '.join(CLOSES)}, or weights of some of them such as "
            "client=70,server=20,reset=10"
        ) from None


def _bits_per_s(text: str) -> Fraction:
    from fractions import Fraction

    match = matched(rf"({_NUMBER})([KMGT]?)(?:bit/s)?", text, re.IGNORECASE)
    bits = Fraction(match[1]) * _SIZES[match[2].upper().replace("K", "k")]
    return checked(bits, holds=bits > 0)


def _fraction(least: str, most: str, text: str) -> Fraction:
    from fractions import Fraction

    match = matched(rf"({_NUMBER})(%?)", text)
    number = Fraction(match[1]) / (100 if match[2] else 1)
    return checked(number, holds=Fraction(least) <= number <= Fraction(most))


def _shares(text: str) -> tuple[Fraction, ...]:
    """Weights above zero, one a VIP; they need not add up to 100."""
    from fractions import Fraction

    matches = [matched(r"\d{1,6}(\.\d{1,3})?%?", part.strip()) for part in text.split(",")]
    shares = tuple(Fraction(match[0].rstrip("%")) for match in matches)
    return checked(shares, holds=all(shares) and len(shares) <= MAX_SHARES)


def _timeouts(text: str) -> Timeouts:
    from analyzer.ipvs.states import Timeouts

    matched(r"[1-9]\d{0,8}(,[1-9]\d{0,8}){2}", text)
    tcp_s, tcpfin_s, udp_s = map(float, text.split(","))
    return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)


def _seconds_list(text: str) -> tuple[int, ...]:
    """Different timeouts in whole seconds, as the kernel keeps them; in the order given."""
    parts = text.split(",")
    seconds = tuple(int(matched(r"([1-9]\d{0,6})s?", part.strip())[1]) for part in parts)
    distinct = len(set(seconds)) == len(seconds) <= MAX_SECONDS
    return checked(seconds, holds=distinct and max(seconds) <= MAX_TIMEOUT_S)


def _ways(text: str) -> tuple[str, ...]:
    ways = tuple(part.strip() for part in text.split(","))
    return checked(ways, holds=set(ways) <= set(FORWARDING_WAYS) and len(set(ways)) == len(ways))


def _ipv4(text: str) -> str:
    from ipaddress import IPv4Address

    return str(IPv4Address(text))


def _listen(text: str) -> tuple[str, int]:
    """An address and a port; by default loopback's."""
    from ipaddress import ip_address

    match = matched(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]:|(?P<v4>[0-9.]+):)?(\d{1,5})", text)
    port = checked(int(match[3]), holds=int(match[3]) <= 65535)
    return str(ip_address(match["v6"] or match["v4"] or "127.0.0.1")), port


def _fraction_type(name: str, least: str, most: str, expected: str) -> ReadType[Fraction]:
    return ReadType(name, partial(_fraction, least, most), expected)


ADDRESS = ReadType("address", _ipv4, "an IPv4 address such as 192.168.10.2")
METHOD = pattern_type("method", r"[A-Z]{1,20}", "a request method such as HEAD or GET")
URL_PATH = pattern_type("path", r"/[!-~]{0,2000}", "a path that begins with a slash")
DURATION = ReadType("duration", _duration_s, "a duration such as 30s, 2m or 1.5")
SPAN = ReadType("duration", _span_s, "more than 0 and at most 31 days")
RATE = ReadType("rate", _per_s, "a rate above 0 such as 500 or 500/s")
SIZE = ReadType("size", _size_bytes, "a size such as 500M or 2G, 4M at the least")
CLOSE_MIX = ReadType("kind|mix", _close_mix)
OBSERVE = ReadType(
    "auto|duration", lambda text: None if text == "auto" else DURATION.convert(text, None, None)
)
BIT_RATE = ReadType("bitrate", _bits_per_s, "a bit rate above 0 such as 1G or 100M")
SHARE = _fraction_type("share", "0.01", "1", "a share of 0.01 to 1, such as 0.8 or 80%")
FACTOR = _fraction_type("factor", "1", "100", "a factor of 1 to 100 such as 1.3")
SHARES = ReadType("shares", _shares, f"up to {MAX_SHARES} weights above 0 such as 40,30,20,10")
CPU_SHARE = _fraction_type("share", "0.001", "1", "a share of 0.1% to 100% such as 2%")
TIMEOUTS = ReadType("tcp,tcpfin,udp", _timeouts, "three numbers such as 900,120,300")
LISTEN = ReadType("[addr:]port", _listen, "PORT, ADDRESS:PORT or [ADDRESS]:PORT")
FILTER = ReadType(
    "text|condition", _filter, "a text, or a condition such as active>100 or weight=0"
)
KEEP = ReadType("size|duration", _keep, "a size such as 500M or a time such as 6h")
SECONDS_LIST = ReadType(
    "s,s,...",
    _seconds_list,
    f"up to {MAX_SECONDS} different whole seconds such as 10,30,60,120",
)
WAYS = ReadType("way,way,...", _ways, f"some of {', '.join(FORWARDING_WAYS)}, each once")
