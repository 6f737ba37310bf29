"""A file of targets: one a line, as for ``--vip`` or as a URL; ``#`` begins a comment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.load.aim import HOST, MOST_TARGETS, parse_url
from loadgen.target import split_host_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.load.aim import Url

MOST_BYTES = 64 * 1024
EXPECTED_LINE = "HOST[:PORT], [ADDRESS]:PORT or a URL"
_COMMENT = re.compile(r"(?:^|\s)#.*")
_IS_URL = re.compile(r"://|[/?]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLine:
    """One target of a file.

    Attributes:
        where: ``FILE:LINE``.
        url: the line as a URL; None where it is host and port.
        vip: the line as host and port; None where it is a URL.
    """

    where: str
    url: Url | None = None
    vip: str | None = None


def read_targets(path: str) -> tuple[TargetLine, ...]:
    """The targets of a file, in its order.

    Raises:
        ValueError: file, line and what was expected there; the line itself is not repeated.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'not readable'}") from error
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path}: expected at most {MOST_BYTES:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8 text") from None
    targets = tuple(targets_in(path, text))
    if not targets:
        raise ValueError(f"{path}: expected at least one line with {EXPECTED_LINE}")
    return targets


def targets_in(path: str, text: str) -> Iterator[TargetLine]:
    """The targets of a text, in its order; ``path`` names it.

    Raises:
        ValueError: line and what was expected there.
    """
    found = 0
    for number, whole in enumerate(text.splitlines(), 1):
        line, where = _COMMENT.sub("", whole).strip(), f"{path}:{number}"
        if not line:
            continue
        found += 1
        if found > MOST_TARGETS:
            raise ValueError(f"{where}: expected at most {MOST_TARGETS} targets")
        yield _target(where, line)


def _target(where: str, line: str) -> TargetLine:
    try:
        if _IS_URL.search(line):
            return TargetLine(where=where, url=parse_url(line))
        if not HOST.fullmatch(split_host_port(line)[0]):
            raise ValueError
    except ValueError as error:
        refused = str(error) if _IS_URL.search(line) else f"expected {EXPECTED_LINE}"
        raise ValueError(f"{where}: {refused}") from None
    return TargetLine(where=where, vip=line)
