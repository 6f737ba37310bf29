"""A Proof in words and lines: what its page and the terminal share."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from analyzer.capacity.proof_wording import rate, share, verdict
from analyzer.capacity.wording import bit_rate, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.capacity.proof import Carried, Proof, ProofState, ProvenLoss

WIDTH = 100
NOT_MEASURED = "not measured"


def asked(proof: Proof) -> str:
    """What was proven, and at which size, in one line."""
    experiment, question = proof.experiment, proof.experiment.question
    parts = [
        f"{count(question.hosts, 'director')} with {bit_rate(question.link_bps)} links",
        f"{bit_rate(question.ingress_bps)} in, over {count(len(experiment.vips), 'VIP')}",
        f"{question.failures} down at once",
    ]
    if question.burst != 1:
        burst = float(question.burst)
        parts.append(f"half a second at {burst:.4g} times the average, half at {2 - burst:.4g}")
    lab = f"In the lab a link has {rate(experiment.link.rate_bps)}"
    return f"{'; '.join(parts)}. {lab} and all rates are {experiment.scale:.3g} of these."


def summary_lines(proof: Proof) -> Iterator[str]:
    """What the terminal shows."""
    yield from textwrap.wrap(verdict(proof), WIDTH)
    yield ""
    for loss in proof.losses:
        yield from _loss_lines(loss)
    for what, why in proof.not_measured:
        yield f"not measured: {what} ({why})"


def state_title(state: ProofState) -> str:
    """``all well``, ``bal01 down``."""
    return f"{' and '.join(state.down)} down" if state.down else "all well"


def measured(each: Carried) -> str:
    """A director's measured rate."""
    return NOT_MEASURED if each.measured_bps is None else rate(each.measured_bps)


def difference(each: Carried) -> str:
    """Of the measured from the computed; an unused director's is of its link."""
    return NOT_MEASURED if each.difference is None else f"{each.difference:+.1%}"


def lost(state: ProofState) -> str:
    """How many were lost, beside the computed share."""
    if state.lost_share is None:
        return NOT_MEASURED
    return (
        f"{state.lost:,} of {state.sent:,} lost ({share(state.lost_share)}, computed "
        f"{share(state.computed_lost_share)})"
    )


def lost_per_vip(state: ProofState) -> str:
    """The VIPs that lost some; drop-tail makes one pay for the other, so the sum is what counts."""
    rows = [f"{vip.vip} {share(vip.lost / vip.sent)}" for vip in state.vips if vip.lost]
    return ", ".join(rows) or "none"


def delay(state: ProofState) -> str:
    """Of the datagrams that arrived."""
    if state.delay_p99_ms is None or state.delay_p50_ms is None:
        return NOT_MEASURED
    return f"{state.delay_p50_ms:.2g} ms median, {state.delay_p99_ms:.2g} ms p99"


def moved(loss: ProvenLoss) -> str:
    """How long the dead directors' VIPs were away, and whether the others noticed."""
    if not loss.away_s:
        return NOT_MEASURED
    away = sorted(loss.away_s.values())
    text = f"{count(len(away), 'VIP')} away for {_span(away)} s"
    if loss.disturbed_s is None:
        return text
    return f"{text}; the others without a datagram for {loss.disturbed_s:.2f} s at most"


def _span(values: list[float]) -> str:
    low, high = f"{values[0]:.2f}", f"{values[-1]:.2f}"
    return low if low == high else f"{low} to {high}"


def _loss_lines(loss: ProvenLoss) -> Iterator[str]:
    yield f"Loss of {' and '.join(loss.down)}: {moved(loss)}"
    for state in (loss.before, loss.after):
        if state is None:
            continue
        yield f"  {state_title(state)}: {lost(state)}; {delay(state)}"
        for each in state.carried:
            yield (
                f"    {each.director:<8}{rate(each.computed_bps):>13} computed"
                f"{measured(each):>15} measured  {difference(each):>7}"
            )
    yield ""
