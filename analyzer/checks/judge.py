"""Judgement of expectations against the measured values."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analyzer.checks.grammar import Amount, Expectation, ExpectationError
from analyzer.checks.quantities import QUANTITIES, quantity_of
from analyzer.checks.readings import NotMeasuredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from analyzer.checks.grammar import Relation
    from analyzer.checks.quantities import Quantity
    from analyzer.checks.readings import Reading
    from analyzer.recording.ending import Ending
    from analyzer.report import Analysis

Outcome = Literal["passed", "failed", "not measured", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether one expectation holds.

    Attributes:
        text: the expectation, such as ``tcpfin=30±1s``.
        outcome: ``skipped`` only in comparisons: for a quantity that these runs cannot show.
        measured: the deciding value in words, with its uncertainty.
        why: the reason, unless it passed.
        name, note: from a policy.
    """

    text: str
    outcome: Outcome
    measured: str = ""
    why: str = ""
    name: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        """The expectation's name in a policy, else its text."""
        return self.name or self.text


def known(expectation: Expectation) -> Quantity:
    """The expectation's quantity, after checking arguments and units.

    Raises:
        ExpectationError: there is no such quantity, it takes other arguments, or another unit.
    """
    quantity = quantity_of(expectation.quantity)
    if quantity is None:
        names = ", ".join([*QUANTITIES, "connect_p99 and the like"])
        raise ExpectationError(
            f"expectation {expectation.text!r}: no quantity {expectation.quantity!r}; "
            f"there are {names}"
        )
    _check_arguments(expectation, quantity)
    _check_unit(expectation, quantity)
    return quantity


def judge(expectation: Expectation, analysis: Analysis) -> Judgement:
    """Judge a run by an expectation.

    Raises:
        ExpectationError: as ``known``.
    """
    quantity = known(expectation)
    try:
        readings = quantity.read(analysis, expectation.arguments)
    except NotMeasuredError as error:
        return _judgement(expectation, "not measured", why=str(error))
    broken = [reading for reading in readings if not _holds(expectation, reading)]
    unsure = [
        reading
        for reading in readings
        if _may_change(expectation, quantity, reading, analysis.ending)
    ]
    if unsure and all(reading in unsure for reading in broken):
        return _judgement(expectation, "not measured", why=_unsure(unsure[0], quantity, analysis))
    deciding = broken[0] if broken else readings[0]
    return _judgement(
        expectation,
        "failed" if broken else "passed",
        measured=_words(deciding, quantity) + _of_a_part(analysis),
        why=_why(expectation, broken, quantity) + _of_a_part(analysis) if broken else "",
    )


def judge_all(expectations: Iterable[Expectation], analysis: Analysis) -> list[Judgement]:
    """Judge a run by several expectations, after checking all of them.

    Raises:
        ExpectationError: as ``known``, for the first wrong one.
    """
    listed = list(expectations)
    for expectation in listed:
        known(expectation)
    return [judge(expectation, analysis) for expectation in listed]


# -- interrupted runs ----------------------------------------------------------------------------


def _may_change(
    expectation: Expectation, quantity: Quantity, reading: Reading, ending: Ending | None
) -> bool:
    """Whether the rest of an interrupted run might have changed the judgement of a reading."""
    if ending is None or ending.is_whole or quantity.grows == "never" or reading.final:
        return False
    if quantity.grows == "with the load" and ending.load_is_whole:
        return False
    expected = expectation.value
    if isinstance(expected, str) or isinstance(reading.value, str):
        return False
    above = reading.value - expected.value > _allowed(expectation, reading) + 1e-9
    if expectation.relation in ("=", "!="):
        return not above  # it can only grow further
    holds = _holds(expectation, reading)
    return holds if expectation.relation in ("<", "<=") else not holds


def _unsure(reading: Reading, quantity: Quantity, analysis: Analysis) -> str:
    seen = _words(reading, quantity)
    return f"it was {seen} when the run was {_ended(analysis)}, and might have become more"


def _of_a_part(analysis: Analysis) -> str:
    ended = _ended(analysis)
    return f"; of a run that was {ended}" if ended else ""


def _ended(analysis: Analysis) -> str:
    return analysis.ending.text if analysis.ending else ""


# -- in words ------------------------------------------------------------------------------------


def _judgement(
    expectation: Expectation, outcome: Outcome, *, measured: str = "", why: str = ""
) -> Judgement:
    return Judgement(
        text=expectation.text,
        outcome=outcome,
        measured=measured,
        why=why,
        name=expectation.name,
        note=expectation.note,
    )


def _check_arguments(expectation: Expectation, quantity: Quantity) -> None:
    given = len(expectation.arguments)
    takes = quantity.arguments
    most = takes.count(",") + 1 if takes else 0
    least = 0 if takes.startswith("[") or not takes else 1
    if not least <= given <= most:
        shown = f"{expectation.quantity}({takes})" if takes else f"only {expectation.quantity}"
        raise ExpectationError(f"expectation {expectation.text!r}: expected {shown}")
    first = expectation.arguments[0] if given else ""
    if given and quantity.first_of and first not in quantity.first_of:
        names = ", ".join(sorted(quantity.first_of))
        raise ExpectationError(f"expectation {expectation.text!r}: {first!r} is none of {names}")


def _check_unit(expectation: Expectation, quantity: Quantity) -> None:
    if isinstance(expectation.value, str) or quantity.dimension == "word":
        if not isinstance(expectation.value, str) or quantity.dimension != "word":
            raise _unit_error(expectation, quantity)
        return
    amounts = [expectation.value] + ([expectation.tolerance] if expectation.tolerance else [])
    for amount in amounts:
        relative = amount is expectation.tolerance and amount.unit == "%"
        if not relative and not _fits(amount, quantity):
            raise _unit_error(expectation, quantity)


def _fits(amount: Amount, quantity: Quantity) -> bool:
    """Whether an amount's unit fits; plain numbers do, except for latencies."""
    if amount.unit:
        return amount.dimension == quantity.dimension
    return quantity.kind != "latency" or amount.number == 0


def _unit_error(expectation: Expectation, quantity: Quantity) -> ExpectationError:
    expected = {
        "time": "a time such as 30s",
        "latency": "a time with its unit such as 50ms",
        "share": "a share such as 99%",
        "rate": "a rate such as 500/s",
        "number": "a plain number",
        "word": "a word such as dr",
    }[quantity.kind]
    return ExpectationError(
        f"expectation {expectation.text!r}: {expectation.quantity} takes {expected}"
    )


_RELATIONS: Mapping[Relation, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _holds(expectation: Expectation, reading: Reading) -> bool:
    """Whether the expectation holds for any value within the uncertainty."""
    expected = expectation.value
    if isinstance(expected, str) or isinstance(reading.value, str):
        return (reading.value == expected) == (expectation.relation == "=")
    if expectation.relation in ("=", "!="):
        near = abs(reading.value - expected.value) <= _allowed(expectation, reading) + 1e-9
        return near == (expectation.relation == "=")
    holds = _RELATIONS[expectation.relation]
    margin = reading.uncertainty if expectation.relation in (">", ">=") else -reading.uncertainty
    return holds(reading.value + margin, expected.value)


def _allowed(expectation: Expectation, reading: Reading) -> float:
    """The allowed difference from the expected value: tolerance and uncertainty."""
    tolerance, expected = expectation.tolerance, expectation.value
    if tolerance is None or isinstance(expected, str):
        return reading.slack + reading.uncertainty
    relative = tolerance.unit == "%" and expected.unit != "%"
    return (tolerance.value * expected.value if relative else tolerance.value) + reading.uncertainty


def _why(expectation: Expectation, broken: list[Reading], quantity: Quantity) -> str:
    shown = "; ".join(_words(reading, quantity) for reading in broken[:3])
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    return f"expected {expectation.text}, measured {shown}{more}"


def _words(reading: Reading, quantity: Quantity) -> str:
    value = _value(reading.value, quantity)
    if reading.uncertainty:
        value += f" ± {_value(reading.uncertainty, quantity)}"
    of = f" of {reading.n:,}" if reading.n is not None and quantity.kind != "number" else ""
    return f"{value}{of}" + (f" ({reading.where})" if reading.where else "")


def _value(value: float | str, quantity: Quantity) -> str:
    if isinstance(value, str):
        return value
    return {
        "time": lambda: f"{value:.2f} s",
        "latency": lambda: f"{value * 1e3:.3g} ms",
        "share": lambda: f"{value:.2%}",
        "rate": lambda: f"{value:.4g}/s",
        "number": lambda: f"{value:,g}",
    }[quantity.kind]()
