"""Option types of a load: hosts, headers, bodies, stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from loadgen.commands.types import DURATION, PatternType, RateType, SpanType

if TYPE_CHECKING:
    from loadgen.load.hold import Hold
    from loadgen.load.plan import Stage

MOST_BODY_BYTES = 16 * 1024 * 1024


class HeaderType(click.ParamType["tuple[str, str]"]):
    """``Name: value``; a name and a value."""

    name = "name: value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The header; a value may be empty."""
        found = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}): *([\t -~\x80-\xff]*)", value)
        if not found:
            self.fail(f"{value!r}: expected a header such as 'Accept: text/html'", param, ctx)
        return found[1], found[2]


class BodyType(click.ParamType[bytes]):
    """A text, or ``@FILE``; gives bytes."""

    name = "text|@file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """The bytes."""
        if isinstance(value, bytes):
            return value
        try:
            body = Path(value[1:]).read_bytes() if value.startswith("@") else value.encode()
        except (OSError, ValueError) as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if len(body) > MOST_BODY_BYTES:
            self.fail(f"{value!r}: expected at most {MOST_BODY_BYTES:,} bytes", param, ctx)
        return bytes(body)


class HoldType(click.ParamType["Hold"]):
    """``2s``, ``uniform(1s,5s)`` or ``exponential(3s)``; gives times, with a seed of 0."""

    name = "duration|distribution"
    _durations: ClassVar[dict[str, int]] = {"fixed": 1, "uniform": 2, "exponential": 1}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Hold:
        """The times between response and close."""
        from loadgen.load.hold import Hold

        if isinstance(value, Hold):
            return value
        found = re.fullmatch(r"([a-z]+)\(([^()]*)\)", value)
        name, inner = found.groups() if found else ("fixed", value)
        parts = [part.strip() for part in inner.split(",")]
        if len(parts) != self._durations.get(name):
            expected = "a duration, uniform(SHORTEST,LONGEST) or exponential(MEAN)"
            self.fail(f"{value!r}: expected {expected}, such as uniform(1s,5s)", param, ctx)
        told_s = tuple(DURATION.convert(part, param, ctx) for part in parts)
        return Hold(distribution=name, told_s=told_s)  # type: ignore[arg-type]


class StageType(click.ParamType["Stage"]):
    """``DURATION:RATE`` such as ``30s:500``; a rate of 0 is a pause."""

    name = "duration:rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Stage:
        """The stage."""
        from loadgen.load.plan import Stage

        duration, colon, rate = value.partition(":")
        if not colon:
            self.fail(f"{value!r}: expected a stage such as 30s:500", param, ctx)
        pause = re.fullmatch(r"0+(\.0+)?(/s)?", rate)
        return Stage(
            duration_s=SpanType().convert(duration, param, ctx),
            rate_per_s=0 if pause else RateType().convert(rate, param, ctx),
        )


HOST = PatternType(
    "host", r"[0-9A-Za-z:._\[\]%-]{1,253}", "an address such as 192.168.10.2, or a name"
)
HEADER = HeaderType()
HOLD = HoldType()
BODY = BodyType()
STAGE = StageType()
