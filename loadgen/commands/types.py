"""Option types that both scripts share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fractions import Fraction

    from analyzer.forecast.closings import Close
    from analyzer.ipvs.states import Timeouts
    from loadgen.collect.keep import Keep

MAX_SHARES = 64
MAX_TIMEOUT_S = 31 * 86400
MIN_SIZE_BYTES = 4_000_000
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS_S = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600}


class DurationType(click.ParamType[float]):
    """``30s``, ``2m``, ``500ms`` or plain seconds; gives seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The duration in seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|)", value)
        if not found:
            self.fail(f"{value!r}: expected a duration such as 30s, 2m or 1.5", param, ctx)
        return float(found[1]) * _UNITS_S[found[2]]


class SpanType(DurationType):
    """A duration above zero, of at most 31 days, as ipvsadm limits a timeout."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The duration in seconds."""
        seconds = super().convert(value, param, ctx)
        if not 1e-3 <= seconds <= MAX_TIMEOUT_S:
            self.fail(f"{value!r}: expected more than 0 and at most 31 days", param, ctx)
        return seconds


class SizeType(click.ParamType[int]):
    """``500M``, ``2G`` or plain bytes, in powers of 1000; gives bytes, 4M at the least."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,15})([kMGT]?)B?", value)
        size_bytes = int(found[1]) * _SIZES[found[2]] if found else 0
        if size_bytes < MIN_SIZE_BYTES:
            self.fail(f"{value!r}: expected a size such as 500M or 2G, 4M at the least", param, ctx)
        return size_bytes


class KeepType(click.ParamType["Keep"]):
    """A size such as ``500M``, or a time such as ``6h``: how much of a watch stays on disk."""

    name = "size|duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Keep:
        """The limit."""
        from loadgen.collect.keep import Keep

        if isinstance(value, Keep):
            return value
        if re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?[smh]", value):
            return Keep(text=value, seconds=SPAN.convert(value, param, ctx))
        found = re.fullmatch(r"\d{1,15}[kMGT]?B?", value)
        if not found:
            self.fail(f"{value!r}: expected a size such as 500M or a time such as 6h", param, ctx)
        return Keep(text=value, size_bytes=SIZE.convert(value, param, ctx))


class RateType(click.ParamType[float]):
    """``500`` or ``500/s``; gives connections or requests a second."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The rate a second, above zero."""
        if isinstance(value, (int, float)):
            return float(value)
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(?:/s)?", value)
        if not found or not float(found[1]):
            self.fail(f"{value!r}: expected a rate above 0 such as 500 or 500/s", param, ctx)
        return float(found[1])


class CloseMixType(click.ParamType["dict[Close, float]"]):
    """``client``, or a mix such as ``client=70,server=20,reset=10``; gives shares as written."""

    name = "kind|mix"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[Close, float]:
        """The weight of each closing kind; they need not add up to 100."""
        from analyzer.forecast.closings import CLOSES

        if isinstance(value, dict):
            return value
        parts = [part.partition("=") for part in value.split(",")]
        known = {close: close for close in CLOSES}
        weights: dict[Close, float] = {}
        for name, equals, weight in parts:
            plain = re.fullmatch(r"\d{1,9}(\.\d{1,6})?", weight or ("" if equals else "1"))
            if name not in known or known[name] in weights or not plain:
                self.fail(_mix_expected(value, CLOSES), param, ctx)
            weights[known[name]] = float(plain[0])
        if (len(parts) > 1 and "=" not in value) or not sum(weights.values()):
            self.fail(_mix_expected(value, CLOSES), param, ctx)
        return weights


def _mix_expected(value: str, closes: tuple[str, ...]) -> str:
    return (
        f"{value!r}: expected one of {', '.join(closes)}, or weights of some of them such as "
        "client=70,server=20,reset=10"
    )


_NUMBER = r"\d{1,12}(?:\.\d{1,6})?"


class BitRateType(click.ParamType["Fraction"]):
    """``1G``, ``1.5G``, ``100M`` or plain bits; gives bits a second, exactly."""

    name = "bitrate"
    _units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}  # noqa: RUF012 - constant

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """The rate in bits a second, above zero."""
        from fractions import Fraction

        found = re.fullmatch(rf"({_NUMBER})([KMGT]?)(?:bit/s)?", str(value), re.IGNORECASE)
        if not found or not Fraction(found[1]):
            self.fail(f"{value!r}: expected a bit rate above 0 such as 1G or 100M", param, ctx)
        return Fraction(found[1]) * self._units[found[2].upper()]


class FractionType(click.ParamType["Fraction"]):
    """A plain number within bounds, exactly; a percentage too where it is a share."""

    def __init__(self, name: str, least: str, most: str, expected: str) -> None:
        self.name = name
        self._bounds = (least, most)
        self._expected = expected

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """The number."""
        from fractions import Fraction

        least, most = map(Fraction, self._bounds)
        found = re.fullmatch(rf"({_NUMBER})(%?)", str(value))
        number = Fraction(found[1]) / (100 if found[2] else 1) if found else None
        if number is None or not least <= number <= most:
            self.fail(f"{value!r}: expected {self._expected}", param, ctx)
        return number


class SharesType(click.ParamType["tuple[Fraction, ...]"]):
    """``40,30,20,10``: weights above zero, one a VIP; they need not add up to 100."""

    name = "shares"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Fraction, ...]:
        """The weights as written."""
        from fractions import Fraction

        parts = str(value).split(",")
        plain = [re.fullmatch(r"\d{1,6}(\.\d{1,3})?%?", part.strip()) for part in parts]
        shares = tuple(Fraction(found[0].rstrip("%")) for found in plain if found)
        if not all(plain) or not all(shares) or len(shares) > MAX_SHARES:
            expected = f"up to {MAX_SHARES} weights above 0 such as 40,30,20,10"
            self.fail(f"{value!r}: expected {expected}", param, ctx)
        return shares


class ObserveType(DurationType):
    """``auto``, or a duration; gives seconds, None for auto."""

    name = "auto|duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Seconds, or None."""
        return None if value == "auto" else super().convert(value, param, ctx)


class TimeoutsType(click.ParamType["Timeouts"]):
    """``TCP,TCPFIN,UDP`` in seconds, as ``ipvsadm --set`` takes them."""

    name = "tcp,tcpfin,udp"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Timeouts:
        """The three timeouts."""
        from analyzer.ipvs.states import Timeouts

        if isinstance(value, Timeouts):
            return value
        if not re.fullmatch(r"[1-9]\d{0,8}(,[1-9]\d{0,8}){2}", value):
            self.fail(f"{value!r}: expected three numbers such as 900,120,300", param, ctx)
        tcp_s, tcpfin_s, udp_s = map(float, value.split(","))
        return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)


class SecondsListType(click.ParamType["tuple[int, ...]"]):
    """``10,30,60,120``: different timeouts in whole seconds, as the kernel keeps them."""

    name = "s,s,..."
    most = 32

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The values, in the order told."""
        if isinstance(value, tuple):
            return value
        parts = [re.fullmatch(r"([1-9]\d{0,6})s?", part.strip()) for part in value.split(",")]
        seconds = tuple(int(found[1]) for found in parts if found)
        distinct = len(set(seconds)) == len(parts) <= self.most
        if not distinct or max(seconds) > MAX_TIMEOUT_S:
            expected = f"up to {self.most} different whole seconds such as 10,30,60,120"
            self.fail(f"{value!r}: expected {expected}", param, ctx)
        return seconds


class WaysType(click.ParamType["tuple[str, ...]"]):
    """``dr,nat,tun``: different ways of forwarding that a lab has."""

    name = "way,way,..."
    ways = ("dr", "nat", "tun")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The ways, in the order told."""
        ways = tuple(part.strip() for part in str(value).split(","))
        if not set(ways) <= set(self.ways) or len(set(ways)) < len(ways):
            self.fail(f"{value!r}: expected some of {', '.join(self.ways)}, each once", param, ctx)
        return ways


class AddressType(click.ParamType[str]):
    """An IPv4 address."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address as ``ipaddress`` writes it."""
        from ipaddress import IPv4Address

        try:
            return str(IPv4Address(value))
        except ValueError:
            self.fail(f"{value!r}: expected an IPv4 address such as 192.168.10.2", param, ctx)


class ListenType(click.ParamType[tuple[str, int]]):
    """``PORT``, ``ADDRESS:PORT`` or ``[ADDRESS]:PORT``; loopback unless told."""

    name = "[addr:]port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """The address and the port."""
        if isinstance(value, tuple):
            return value
        from ipaddress import ip_address

        found = re.fullmatch(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]:|(?P<v4>[0-9.]+):)?(\d{1,5})", value)
        try:
            if not found or int(found[3]) > 65535:
                raise ValueError(value)
            return str(ip_address(found["v6"] or found["v4"] or "127.0.0.1")), int(found[3])
        except ValueError:
            self.fail(f"{value!r}: expected PORT, ADDRESS:PORT or [ADDRESS]:PORT", param, ctx)


class PatternType(click.ParamType[str]):
    """A text of a given form."""

    def __init__(self, name: str, pattern: str, expected: str) -> None:
        self.name = name
        self._pattern = re.compile(pattern)
        self._expected = expected

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, unchanged."""
        if not self._pattern.fullmatch(value):
            self.fail(f"{value!r}: expected {self._expected}", param, ctx)
        return str(value)


ADDRESS = AddressType()
METHOD = PatternType("method", r"[A-Z]{1,20}", "a request method such as HEAD or GET")
URL_PATH = PatternType("path", r"/[!-~]{0,2000}", "a path that begins with a slash")
DURATION = DurationType()
SPAN = SpanType()
RATE = RateType()
SIZE = SizeType()
CLOSE_MIX = CloseMixType()
OBSERVE = ObserveType()
BIT_RATE = BitRateType()
SHARE = FractionType("share", "0.01", "1", "a share of 0.01 to 1, such as 0.8 or 80%")
FACTOR = FractionType("factor", "1", "100", "a factor of 1 to 100 such as 1.3")
SHARES = SharesType()
CPU_SHARE = FractionType("share", "0.001", "1", "a share of 0.1% to 100% such as 2%")
TIMEOUTS = TimeoutsType()
LISTEN = ListenType()
KEEP = KeepType()
SECONDS_LIST = SecondsListType()
WAYS = WaysType()
