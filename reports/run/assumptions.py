"""Sentences of the page that rest on something assumed say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.predicted.forwarding import rests_on_it

if TYPE_CHECKING:
    from analyzer.results import Analysis


def on_forwarding(analysis: Analysis) -> str:
    """What to add to a sentence about predicted entries; empty where nothing is assumed."""
    known = analysis.forwarding
    if known is None or not rests_on_it(known, analysis.lifetimes):
        return ""
    other = known.otherwise
    else_ = f"; in {other.method} entries would end in {other.state}" if other else ""
    return f" This holds if forwarding is dr or tun, which is assumed{else_}."
