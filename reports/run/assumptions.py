"""The sentence that names an assumption behind a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.evidence.forwarding import rests_on_it

if TYPE_CHECKING:
    from analyzer.report import Analysis


def on_forwarding(analysis: Analysis) -> str:
    """The sentence about an assumed forwarding, with a space before it; empty without one."""
    known = analysis.forwarding
    if known is None or not rests_on_it(known, analysis.lifetimes):
        return ""
    other = known.otherwise
    else_ = f"; with {other.method} entries would end in {other.state}" if other else ""
    return f" This assumes that forwarding is dr or tun{else_}."
