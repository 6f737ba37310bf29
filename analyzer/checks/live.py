"""Limits that end a run while it is on: ``failed>10``. Few quantities are known by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.checks.grammar import Amount, ExpectationError, parse_expectation
from analyzer.checks.judge import known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAST_FOR_A_SHARE = 50
"""Of fewer requests than this no share is told: one failure of the first two is not half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a run has seen so far.

    Attributes:
        ended: requests.
        failed: of those.
        active_peak: the highest ActiveConn polled, all directors together; None where there was
            no poll yet.
        inactive_peak: InActConn likewise.
    """

    ended: int
    failed: int
    active_peak: int | None = None
    inactive_peak: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One quantity, and the value from which on the run ends."""

    text: str
    quantity: str
    value: float
    inclusive: bool

    @property
    def needs_directors(self) -> bool:
        """Whether somebody must be polled for it to be known."""
        return self.quantity.endswith("_peak")


def parse_limit(text: str) -> Limit:
    """Read a limit: an expectation's grammar, of a quantity that is known live.

    Raises:
        ExpectationError: it is none, or of a quantity that only the analysis knows.
    """
    wanted = parse_expectation(text)
    known(wanted)
    if wanted.quantity not in LIVE:
        raise ExpectationError(
            f"--abort-on {text!r}: {wanted.quantity} is not known while the run is on; "
            f"there are {', '.join(LIVE)}"
        )
    if wanted.relation not in (">", ">=") or not isinstance(wanted.value, Amount):
        raise ExpectationError(f"--abort-on {text!r}: expected > or >=, such as failed>10")
    if wanted.arguments:
        raise ExpectationError(f"--abort-on {text!r}: expected {wanted.quantity} alone")
    return Limit(
        text=text,
        quantity=wanted.quantity,
        value=wanted.value.value,
        inclusive=wanted.relation == ">=",
    )


def crossed(limit: Limit, seen: Seen) -> float | None:
    """The value that crossed a limit; None while it is not known, or within."""
    value = LIVE[limit.quantity](seen)
    if value is None or value < limit.value or (value == limit.value and not limit.inclusive):
        return None
    return value


def _failed_share(seen: Seen) -> float | None:
    return seen.failed / seen.ended if seen.ended >= LEAST_FOR_A_SHARE else None


LIVE: Mapping[str, Callable[[Seen], float | None]] = {
    "failed": lambda seen: seen.failed,
    "failed_share": _failed_share,
    "active_peak": lambda seen: seen.active_peak,
    "inactive_peak": lambda seen: seen.inactive_peak,
}
