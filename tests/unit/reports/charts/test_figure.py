"""Figures as JSON: their arrays are what plotly's own package makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reports.charts.figure import add_annotations, add_shapes, bar, encoded, scatter
from reports.charts.panels import Panel, stacked

EDGES = [0, 2**7 - 1, 2**7, -(2**7), 2**15 - 1, 2**15, -(2**15) - 1, 2**31 - 1, 2**31, -(2**31)]

shapes = arrays.array_shapes(max_dims=2, max_side=4)
counts = arrays.arrays(np.int64, shapes, elements=st.sampled_from(EDGES))
levels = arrays.arrays(np.float64, shapes, elements=st.floats(allow_nan=False))


@given(counts | levels)
def test_an_array_is_encoded_as_plotly_encodes_it(values: np.ndarray[Any, Any]) -> None:
    (trace,) = go.Figure([go.Heatmap(z=values)]).to_plotly_json()["data"]
    theirs = trace["z"]
    ours = encoded({"z": values})["z"]
    assert ours == (theirs.tolist() if isinstance(theirs, np.ndarray) else theirs)


@pytest.mark.parametrize(
    ("values", "short", "raw"),
    [
        (np.array([1, -128]), "i1", "AYA="),
        (np.array([1, 128]), "i2", "AQCAAA=="),
        (np.array([1, 32768]), "i4", "AQAAAACAAAA="),
        (np.array([0.5]), "f8", "AAAAAAAA4D8="),
        (np.arange(4)[::2], "i1", "AAI="),
    ],
)
def test_arrays_are_bytes_of_the_smallest_type(
    values: np.ndarray[Any, Any], short: str, raw: str
) -> None:
    assert encoded(values) == {"dtype": short, "bdata": raw}


def test_what_plotly_js_has_no_type_for_becomes_a_list() -> None:
    assert encoded(np.array([2**31])) == [2**31]
    assert encoded(np.array([], dtype=np.int64)) == []
    assert encoded(np.array(["a", "b"])) == ["a", "b"]


def test_arrays_are_found_at_any_depth_and_the_figure_keeps_its_own() -> None:
    y = np.array([1, 2])
    figure = {"data": [scatter(error_y={"array": y}), bar(x=(1, "a"))]}
    i1 = {"dtype": "i1", "bdata": "AQI="}
    assert encoded(figure) == {
        "data": [{"type": "scatter", "error_y": {"array": i1}}, {"type": "bar", "x": [1, "a"]}]
    }
    assert figure["data"][0]["error_y"]["array"] is y


def test_marks_are_added_over_those_that_are_there() -> None:
    figure = stacked([Panel(title="a", height_px=50, traces=[])], {})
    add_shapes(figure)
    assert "shapes" not in figure["layout"]
    add_shapes(figure, {"x0": 1})
    add_shapes(figure, {"x0": 2}, {"x0": 3})
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [1, 2, 3]
    add_annotations(figure, {"text": "b"})
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["a", "b"]
