"""Documents are plain values, without what a base of their type does not have."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.documents import JsonDocument, as_text, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A part of a document."""

    low: float
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed(JsonDocument):
    """What is printed."""

    name: str
    count: int
    parts: tuple[Inner, ...]
    shares: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Printed):
    """What is printed, and what is only drawn."""

    curve: object


DOCUMENT = Whole(
    name="bal01",
    count=np.int64(3),  # type: ignore[arg-type] # as tables give it
    parts=(Inner(low=np.float64(0.25)), Inner(low=1 / 3, high=2.0)),
    shares=MappingProxyType({"rs1": (0.5, 1e-7)}),
    curve=object(),
)


def test_a_document_is_dicts_and_lists_with_the_keys_in_the_order_of_its_fields() -> None:
    document = to_json(DOCUMENT, Printed)
    assert list(document) == ["schema_version", "name", "count", "parts", "shares"]
    assert document == {
        "schema_version": 1,
        "name": "bal01",
        "count": 3,
        "parts": [{"low": 0.25, "high": None}, {"low": 1 / 3, "high": 2.0}],
        "shares": {"rs1": [0.5, 1e-7]},
    }


def test_numbers_are_rounded_where_that_is_asked_for() -> None:
    document = to_json(DOCUMENT, Printed, decimals=6)
    assert document["parts"][1] == {"low": 0.333333, "high": 2.0}
    assert document["shares"] == {"rs1": [0.5, 0.0]}
    assert document["count"] == 3


def test_a_number_that_is_none_is_never_printed() -> None:
    document = to_json(replace(DOCUMENT, parts=(Inner(low=math.nan),)), Printed)
    with pytest.raises(ValueError, match="JSON"):
        as_text(document)


def test_the_text_is_one_line_with_every_letter_as_it_is() -> None:
    assert as_text({"name": "Zürich", "n": 1}) == '{"name": "Zürich", "n": 1}'
