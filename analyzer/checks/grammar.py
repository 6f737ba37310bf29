"""The grammar of an expectation: ``tcpfin=30±1s``, ``state(FIN_WAIT)>=99%``, ``failed=0``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from analyzer.errors import AnalyzerError

Relation = Literal["=", "!=", "<", "<=", ">", ">="]
Dimension = Literal["time", "share", "rate", "number"]

GRAMMAR = r"""
expectation: quantity RELATION (amount tolerance? | WORD)
quantity: NAME ["(" ARGUMENT ("," ARGUMENT)* ")"]
amount: NUMBER UNIT?
tolerance: PLUS_MINUS amount

NAME: /[a-z][a-z0-9_]*(\.[0-9]+)?/
ARGUMENT: /[A-Za-z0-9_][A-Za-z0-9_.:-]*/
RELATION: "==" | "!=" | "<=" | ">=" | "=" | "<" | ">"
PLUS_MINUS: "±" | "+-" | "+/-"
NUMBER: /[0-9]{1,15}(\.[0-9]{1,9})?/
UNIT: "us" | "µs" | "ms" | "s" | "min" | "m" | "h" | "%" | "/s"
WORD.-1: /[a-z][a-z0-9_-]*/

%ignore " "
"""
UNITS: dict[str, tuple[Dimension, float]] = {
    "us": ("time", 1e-6),
    "µs": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "m": ("time", 60.0),
    "h": ("time", 3600.0),
    "%": ("share", 0.01),
    "/s": ("rate", 1.0),
}
RELATIONS: dict[str, Relation] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
EQUALITIES = ("=", "!=")
MAX_CHARACTERS = 200
EXAMPLES = "tcpfin=30±1s, inactive_peak<=1200 or state(FIN_WAIT)>=99%"


class ExpectationError(AnalyzerError):
    """A text is no expectation, or its quantity is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number as written; ``unit`` is "" for a plain number."""

    number: float
    unit: str = ""

    @property
    def dimension(self) -> Dimension:
        """The dimension of its unit."""
        return UNITS[self.unit][0] if self.unit else "number"

    @property
    def value(self) -> float:
        """The value in seconds, as a share of 1, per second, or as a plain number."""
        return self.number * (UNITS[self.unit][1] if self.unit else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """An expectation of one quantity.

    Attributes:
        text: as it was written.
        arguments: in brackets after the quantity's name: a state, a director.
        value: an amount, or a word (``forwarding=dr``).
        tolerance: to either side of the value; None for that of the quantity.
        name, note: from a policy; shown with the result.
    """

    text: str
    quantity: str
    arguments: tuple[str, ...]
    relation: Relation
    value: Amount | str
    tolerance: Amount | None = None
    name: str = ""
    note: str = ""


def parse_expectation(text: str, *, name: str = "", note: str = "") -> Expectation:
    """Parse an expectation.

    Raises:
        ExpectationError: the text is none; the message has the position of the error.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpectationError(f"expectation of {len(text)} characters: at most {MAX_CHARACTERS}")
    try:
        parsed: _Parsed = _Reader().transform(_parser().parse(text))
    except VisitError as error:
        raise ExpectationError(f"expectation {text!r}: {error.orig_exc}") from error
    except UnexpectedInput as error:
        column = error.column if error.column and error.column > 0 else len(text) + 1
        raise ExpectationError(
            f"expectation {text!r}: not understood at character {column}; "
            f"expected something like {EXAMPLES}"
        ) from error
    return Expectation(
        text=text,
        quantity=parsed.quantity,
        arguments=parsed.arguments,
        relation=parsed.relation,
        value=parsed.value,
        tolerance=parsed.tolerance,
        name=name,
        note=note,
    )


class _Parsed(NamedTuple):
    quantity: str
    arguments: tuple[str, ...]
    relation: Relation
    value: Amount | str
    tolerance: Amount | None


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, start="expectation", parser="lalr")


class _Reader(Transformer[Token, _Parsed]):
    """Transformer of the parse tree; lark calls the method with each rule's name."""

    def expectation(self, parts: list[Any]) -> _Parsed:
        (quantity, arguments), relation, value, *rest = parts
        relation = RELATIONS[relation]
        tolerance = rest[0] if rest else None
        if tolerance and relation not in EQUALITIES:
            raise ValueError(f"a tolerance goes with = or !=, not with {relation}")
        if isinstance(value, Token) and relation not in EQUALITIES:
            raise ValueError(f"a word goes with = or !=, not with {relation}")
        plain = str(value) if isinstance(value, Token) else value
        return _Parsed(quantity, arguments, relation, plain, tolerance)

    def quantity(self, parts: list[Token | None]) -> tuple[str, tuple[str, ...]]:
        name, *arguments = parts
        return str(name), tuple(str(argument) for argument in arguments if argument is not None)

    def amount(self, parts: list[Token]) -> Amount:
        return Amount(number=float(parts[0]), unit=str(parts[1]) if len(parts) > 1 else "")

    def tolerance(self, parts: list[Any]) -> Amount:
        amount: Amount = parts[1]
        return amount
