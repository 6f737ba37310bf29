"""Option types of a load: hosts, headers, bodies, hold times, stages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadgen.commands.types import DURATION, RATE, SPAN, ReadType, checked, matched, pattern_type

if TYPE_CHECKING:
    from loadgen.load.aim import Url
    from loadgen.load.hold import Hold
    from loadgen.load.plan import Stage
    from loadgen.load.target_file import TargetLine

MOST_BODY_BYTES = 16 * 1024 * 1024
_PARAMETERS = {"fixed": 1, "uniform": 2, "exponential": 1}


def _url(text: str) -> Url:
    from loadgen.load.aim import parse_url

    try:
        return parse_url(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _targets(text: str) -> tuple[TargetLine, ...]:
    from loadgen.load.target_file import read_targets

    try:
        return read_targets(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _header(text: str) -> tuple[str, str]:
    """Name and value; a value may be empty."""
    match = matched(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}): *([\t -~\x80-\xff]*)", text)
    return match[1], match[2]


def _body(text: str) -> bytes:
    try:
        body = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{text!r}: {error}") from error
    return checked(body, holds=len(body) <= MOST_BODY_BYTES)


def _hold(text: str) -> Hold:
    """Times from a distribution, with a seed of 0."""
    from loadgen.load.hold import Hold

    match = re.fullmatch(r"([a-z]+)\(([^()]*)\)", text)
    name, inner = match.groups() if match else ("fixed", text)
    parts = [part.strip() for part in inner.split(",")]
    checked(parts, holds=len(parts) == _PARAMETERS.get(name))
    given_s = tuple(DURATION.convert(part, None, None) for part in parts)
    return Hold(distribution=name, given_s=given_s)  # type: ignore[arg-type]


def _stage(text: str) -> Stage:
    from loadgen.load.plan import Stage

    duration, colon, rate = text.partition(":")
    checked(text, holds=bool(colon))
    pause = re.fullmatch(r"0+(\.0+)?(/s)?", rate)
    return Stage(
        duration_s=SPAN.convert(duration, None, None),
        rate_per_s=0 if pause else RATE.convert(rate, None, None),
    )


HOST = pattern_type(
    "host", r"[0-9A-Za-z:._\[\]%-]{1,253}", "an address such as 192.168.10.2, or a name"
)
HEADER = ReadType("name: value", _header, "a header such as 'Accept: text/html'")
HOLD = ReadType(
    "duration|distribution",
    _hold,
    "a duration, uniform(SHORTEST,LONGEST) or exponential(MEAN), such as uniform(1s,5s)",
)
URL = ReadType("url", _url)
TARGETS = ReadType("file", _targets)
BODY = ReadType("text|@file", _body, f"at most {MOST_BODY_BYTES:,} bytes")
STAGE = ReadType("duration:rate", _stage, "a stage such as 30s:500")
