"""Limits that end a running load: ``failed>10``. Few quantities are known during a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.checks.grammar import Amount, ExpectationError, parse_expectation
from analyzer.checks.judge import known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAST_FOR_A_SHARE = 50
"""Fewest requests for a share: one failure of the first two is not half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCounts:
    """The counts of a run so far.

    Attributes:
        ended: requests that ended.
        failed: of these, those that failed.
        active_peak: the highest ActiveConn polled, of all directors together; None before the
            first poll.
        inactive_peak: InActConn likewise.
    """

    ended: int
    failed: int
    active_peak: int | None = None
    inactive_peak: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A quantity, and the value at which the run ends."""

    text: str
    quantity: str
    value: float
    inclusive: bool

    @property
    def needs_directors(self) -> bool:
        """Whether it is known only if directors are polled."""
        return self.quantity.endswith("_peak")


def parse_limit(text: str) -> Limit:
    """Parse a limit, which has the grammar of an expectation.

    Raises:
        ExpectationError: the text is no limit, or its quantity is not known during a run.
    """
    expectation = parse_expectation(text)
    known(expectation)
    if expectation.quantity not in LIVE:
        raise ExpectationError(
            f"--abort-on {text!r}: {expectation.quantity} is not known during the run; "
            f"there are {', '.join(LIVE)}"
        )
    if expectation.relation not in (">", ">=") or not isinstance(expectation.value, Amount):
        raise ExpectationError(f"--abort-on {text!r}: expected > or >=, such as failed>10")
    if expectation.arguments:
        raise ExpectationError(f"--abort-on {text!r}: expected only {expectation.quantity}")
    return Limit(
        text=text,
        quantity=expectation.quantity,
        value=expectation.value.value,
        inclusive=expectation.relation == ">=",
    )


def crossed(limit: Limit, seen: LiveCounts) -> float | None:
    """The value that crossed a limit; None if it did not, or is not known."""
    value = LIVE[limit.quantity](seen)
    if value is None or value < limit.value or (value == limit.value and not limit.inclusive):
        return None
    return value


def _failed_share(seen: LiveCounts) -> float | None:
    return seen.failed / seen.ended if seen.ended >= LEAST_FOR_A_SHARE else None


LIVE: Mapping[str, Callable[[LiveCounts], float | None]] = {
    "failed": lambda seen: seen.failed,
    "failed_share": _failed_share,
    "active_peak": lambda seen: seen.active_peak,
    "inactive_peak": lambda seen: seen.inactive_peak,
}
