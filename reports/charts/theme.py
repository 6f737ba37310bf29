"""Colours, marks and fonts of all charts, and the escaping of foreign text for them.

Charts are drawn in light colours; the page replaces each by its dark counterpart. A hue is never
the only difference: it comes with a mark, a dash or a pattern.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# name: (on a light page, on a dark page); the hues are those of Okabe and Ito
PALETTE: Mapping[str, tuple[str, str]] = {
    "paper": ("#fffffe", "#14181d"),
    "ink": ("#1c2126", "#e7eaed"),
    "muted": ("#5a646e", "#a0a9b2"),
    "grid": ("#e3e7ea", "#2b3138"),
    "band": ("#eceff1", "#232930"),
    "blue": ("#0072b2", "#56b4e9"),
    "orange": ("#a86400", "#e69f00"),
    "green": ("#00815e", "#1fb88c"),
    "pink": ("#b0578f", "#dd92bd"),
    "sky": ("#3a8fc4", "#8fd0f5"),
    "bad": ("#c24a00", "#ff7b3d"),
    "calm": ("#7d93a6", "#7d93a5"),
}
PAPER, INK, MUTED, GRID, BAND, BAD, CALM = (
    PALETTE[name][0] for name in ("paper", "ink", "muted", "grid", "band", "bad", "calm")
)
HUES = ("blue", "orange", "green", "pink", "sky")
# A big open shape first, then small filled ones: two equal curves both stay visible.
MARKERS = (
    ("circle-open", 9),
    ("diamond", 5),
    ("square-open", 11),
    ("triangle-up", 5),
    ("cross-thin-open", 8),
    ("triangle-down-open", 8),
)
DASHES = ("solid", "8px,4px", "2px,3px", "10px,3px,2px,3px")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def plain(text: str, limit: int = 80) -> str:
    """A text of unknown origin for plotly: without tags, and cut to ``limit``."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return html.escape(short, quote=False)
