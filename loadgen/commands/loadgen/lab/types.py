"""Option types of the lab's commands."""

from __future__ import annotations

import re
from typing import Any

import click

_RATE_UNITS = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


class BitRateType(click.ParamType[float]):
    """``10M``, ``1.5G`` or plain bits a second; gives bits a second."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Bits a second; 0 for none."""
        if isinstance(value, (int, float)):
            return float(value)
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([kKMG]?)", value)
        bits = float(found[1]) * _RATE_UNITS[found[2]] if found else -1
        if bits < 0 or 0 < bits < 1000:
            self.fail(f"{value!r}: expected bits a second such as 10M, 1000 or more", param, ctx)
        return bits


class ShareType(click.ParamType[float]):
    """``1%`` or ``0.01``; gives a number from 0 to 1."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)(%?)", str(value))
        share = float(found[1]) / (100 if found[2] else 1) if found else 2.0
        if share > 1:
            self.fail(f"{value!r}: expected a share such as 1% or 0.01", param, ctx)
        return share


class NumbersType(click.ParamType[tuple[int, ...]]):
    """``1,2,3``."""

    name = "n,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d{1,6}(,\d{1,6}){0,31}", value):
            self.fail(f"{value!r}: expected numbers such as 1,2,3", param, ctx)
        return tuple(map(int, value.split(",")))


class WordsType(click.ParamType[tuple[str, ...]]):
    """``bal01,bal02``."""

    name = "name,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The words."""
        return value if isinstance(value, tuple) else tuple(value.split(","))


class SysctlType(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Name and value, as text."""
        if isinstance(value, tuple):
            return value
        name, equals, number = value.partition("=")
        if not equals:
            self.fail(f"{value!r}: expected net.ipv4.vs.NAME=VALUE", param, ctx)
        return name.strip(), number.strip()


BIT_RATE = BitRateType()
SHARE = ShareType()
NUMBERS = NumbersType()
WORDS = WordsType()
SYSCTL = SysctlType()
