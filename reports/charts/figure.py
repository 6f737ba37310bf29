"""Figures in plotly's JSON form: plain values, whose arrays may be numpy's until they are encoded.

Nothing here checks an attribute: a test has plotly's own validators accept every figure.
"""

from __future__ import annotations

import base64
from typing import Any, TypedDict

import numpy as np

Trace = dict[str, Any]

SHORT_TYPES = {"int8": "i1", "int16": "i2", "int32": "i4", "float64": "f8"}
"""plotly.js' names of types of arrays; it has no integers of 64 bits."""


class Figure(TypedDict):
    """Traces, and everything around them."""

    data: list[Trace]
    layout: dict[str, Any]


def scatter(**attributes: Any) -> Trace:
    """A trace of points, with or without a line; the attributes are plotly's."""
    return {"type": "scatter", **attributes}


def bar(**attributes: Any) -> Trace:
    """A trace of bars; the attributes are plotly's."""
    return {"type": "bar", **attributes}


def add_shapes(figure: Figure, *shapes: dict[str, Any]) -> None:
    """Draw shapes over those that are there."""
    if shapes:
        figure["layout"].setdefault("shapes", []).extend(shapes)


def add_annotations(figure: Figure, *annotations: dict[str, Any]) -> None:
    """Write texts over those that are there."""
    figure["layout"]["annotations"].extend(annotations)


def encoded(value: Any) -> Any:
    """A figure, or a part of one, with its arrays of numbers in base 64, as plotly.js reads them.

    An array of other values, without any, or of integers beyond 32 bits becomes a list.
    """
    if isinstance(value, dict):
        return {key: encoded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    return _typed_array(value) if isinstance(value, np.ndarray) else value


def _typed_array(values: np.ndarray[Any, Any]) -> Any:
    narrow = _narrowed(values) if values.dtype == np.int64 and values.size else values
    short = SHORT_TYPES.get(narrow.dtype.name)
    if short is None or not values.size:
        return values.tolist()
    data = {"dtype": short, "bdata": base64.b64encode(narrow.tobytes()).decode("ascii")}
    return data if values.ndim == 1 else data | {"shape": ", ".join(map(str, values.shape))}


def _narrowed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Integers in the smallest type that holds them all; as they are where none of 32 bits does."""
    low, high = values.min(), values.max()
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values
