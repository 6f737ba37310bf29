"""Figures in plotly's own classes, which refuse what plotly.js would ignore in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

if TYPE_CHECKING:
    from collections.abc import Mapping


def validated(figure: Mapping[str, Any] | None) -> Any:
    """A figure that plotly's validators accept, with its traces and layout as attributes."""
    assert figure is not None
    return go.Figure({"data": figure["data"], "layout": figure["layout"]}, skip_invalid=False)
