"""The result of the same packets in nat, where dr is only assumed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.estimate.decay import predicted_lifetimes
from analyzer.evidence.forwarding import OtherWay
from analyzer.findings.decay.timeouts import governing
from analyzer.other_settings.what_if import Assumption, predicted_under

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.evidence.evidence import Evidence
    from analyzer.evidence.forwarding import Forwarding
    from analyzer.measured import Measured

OTHERWISE = "nat"


def with_other_way(evidence: Evidence, measured: Sequence[Measured]) -> Forwarding | None:
    """The forwarding method and, where it is assumed, the result in nat.

    ``otherwise`` stays None where the capture has no replies: nat would have seen some.
    """
    known = evidence.forwarded
    predicted = [director for director in measured if director.prediction is not None]
    if known is None or known.basis != "assumed" or not predicted:
        return known
    first = predicted[0]
    prediction, caveat = predicted_under(
        first, evidence, [Assumption(name="forwarding", value=OTHERWISE)]
    )
    row = governing(predicted_lifetimes(prediction.entry_parts(), first.director))
    if caveat or row is None:
        return known
    other = OtherWay(
        method=OTHERWISE,
        state=row.state,
        counted=row.counted,
        timeout_name=row.timeout_name,
        timeout_s=row.timeout_s,
        n=row.n,
    )
    return replace(known, otherwise=other)
