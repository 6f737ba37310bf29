"""A policy: expectations with names and notes, from a TOML file.

tolerance = "10%"                     # of comparisons with a baseline

[[expect]]
that = "tcpfin=30±1s"
name = "entries expire after 30 s"
note = "agreed with the database team, see OPS-112"

[[expect]]
that = "failed=0"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.checks.grammar import ExpectationError, parse_expectation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.checks.grammar import Expectation

KEYS = ("that", "name", "note")
MAX_EXPECTATIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The content of a policy file; ``tolerance`` as written, or None."""

    expectations: tuple[Expectation, ...]
    tolerance: str | None = None


def parse_policy(text: str, where: str) -> Policy:
    """Parse a policy.

    Args:
        text: TOML.
        where: the file's name, for messages.

    Raises:
        ExpectationError: the text is no TOML, or has unknown keys or a wrong expectation.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
        raise ExpectationError(f"{where}: no TOML: {error}") from error
    _only(values, ("expect", "tolerance"), where)
    rows = values.get("expect", [])
    if not isinstance(rows, list) or len(rows) > MAX_EXPECTATIONS:
        raise ExpectationError(f"{where}: expect: expected up to {MAX_EXPECTATIONS} tables")
    tolerance = values.get("tolerance")
    if tolerance is not None and not isinstance(tolerance, str):
        raise ExpectationError(f'{where}: tolerance: expected a text such as "10%"')
    expectations = tuple(
        _expectation(row, f"{where}, [[expect]] {number}") for number, row in enumerate(rows, 1)
    )
    return Policy(expectations=expectations, tolerance=tolerance)


def _expectation(row: Any, where: str) -> Expectation:
    if not isinstance(row, dict):
        raise ExpectationError(f"{where}: expected a table")
    _only(row, KEYS, where)
    texts = {key: row.get(key, "") for key in KEYS}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise ExpectationError(f"{where}: {key}: expected a text, not {text!r}")
    if not texts["that"]:
        raise ExpectationError(f'{where}: no expectation; expected that = "tcpfin=30±1s"')
    try:
        return parse_expectation(texts["that"], name=texts["name"], note=texts["note"])
    except ExpectationError as error:
        raise ExpectationError(f"{where}: {error}") from error


def _only(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            raise ExpectationError(f"{where}: no key {key!r}; expected {', '.join(known)}")
