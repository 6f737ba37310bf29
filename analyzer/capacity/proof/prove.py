"""What was measured in each window of a proof, beside what was computed for it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from analyzer.capacity.lattice import loads
from analyzer.capacity.proof.model import (
    Carried,
    Experiment,
    Loss,
    MeasuredWindow,
    Proof,
    ProvenLoss,
    VipCount,
    Window,
)
from analyzer.capacity.proof.samples import ProofSamples
from analyzer.capacity.queue import lost_share
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.recording.ending import Ending


def prove(
    run: str,
    experiment: Experiment,
    links: pd.DataFrame,
    datagrams: pd.DataFrame,
    ending: Ending | None = None,
) -> Proof:
    """Compare the measured with the computed.

    Args:
        run: its name.
        experiment: the plan and its losses.
        links: the recording's table, by host and time.
        datagrams: the recording's table.
        ending: of the run; None where it is not known.
    """
    samples = ProofSamples(links, datagrams)
    losses = tuple(_measured(experiment, loss, samples) for loss in experiment.losses)
    return Proof(
        run=run,
        experiment=experiment,
        losses=losses,
        not_measured=tuple(_not_measured(experiment, losses)),
        ending=ending,
    )


def _measured(experiment: Experiment, loss: Loss, samples: ProofSamples) -> ProvenLoss:
    away: dict[str, float] = {}
    stayed: list[float] = []
    if loss.crashed_ns is not None and loss.after is not None:
        for vip, order in zip(experiment.vips, experiment.lists, strict=True):
            gap_s = samples.longest_gap_s(vip, loss.crashed_ns, loss.after[0])
            if order[0] in loss.down:
                away[vip] = gap_s
            else:
                stayed.append(gap_s)
    return ProvenLoss(
        down=_names(experiment, loss.down),
        before=_window(experiment, (), loss.before, samples),
        after=_window(experiment, loss.down, loss.after, samples),
        away_s=away,
        disturbed_s=max(stayed, default=None),
    )


def _window(
    experiment: Experiment, down: Sequence[int], window: Window | None, samples: ProofSamples
) -> MeasuredWindow | None:
    if window is None:
        return None
    carried = _carried(experiment, down, window, samples)
    sent = samples.within(window)
    delays_ms = (samples.received[sent] - samples.sent[sent])[samples.was_received[sent]] / 1e6
    late_ms = (samples.sent[sent] - samples.due[sent]) / 1e6
    offered_bps = sum(director.offered_bps for director in carried)
    return MeasuredWindow(
        down=_names(experiment, down),
        seconds=(window[1] - window[0]) / NS_PER_S,
        carried=carried,
        vips=_counts(experiment, down, sent, samples),
        computed_lost_share=1 - sum(director.computed_bps for director in carried) / offered_bps,
        delay_p50_ms=_percentile(delays_ms, 50),
        delay_p99_ms=_percentile(delays_ms, 99),
        worst_late_ms=_percentile(late_ms, 100),
    )


def _carried(
    experiment: Experiment, down: Sequence[int], window: Window, samples: ProofSamples
) -> tuple[Carried, ...]:
    question, scale = experiment.question, experiment.scale
    shares = (Fraction(1, len(experiment.lists)),) * len(experiment.lists)
    loads_now = loads(experiment.lists, shares, question.hosts, frozenset(down))
    rows = []
    for number, name in enumerate(experiment.directors):
        if number in down:
            continue
        offered_bps = float(loads_now[number] * question.ingress_bps)
        lost = lost_share(offered_bps * scale, experiment.link, float(question.burst))
        measured_bps = samples.carried_bps(name, window)
        rows.append(
            Carried(
                director=name,
                offered_bps=offered_bps,
                computed_bps=offered_bps * (1 - lost),
                measured_bps=None if measured_bps is None else measured_bps / scale,
                link_bps=float(question.link_bps),
            )
        )
    return tuple(rows)


def _counts(
    experiment: Experiment, down: Sequence[int], within: slice, samples: ProofSamples
) -> tuple[VipCount, ...]:
    to, received = samples.vip[within], samples.was_received[within]
    counts = []
    for vip, order in zip(experiment.vips, experiment.lists, strict=True):
        of_vip = to == vip
        holder = next(director for director in order if director not in down)
        counts.append(
            VipCount(
                vip=vip,
                director=experiment.directors[holder],
                sent=int(of_vip.sum()),
                lost=int((of_vip & ~received).sum()),
            )
        )
    return tuple(counts)


def _percentile(values: npt.NDArray[np.float64], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None


def _names(experiment: Experiment, down: Sequence[int]) -> tuple[str, ...]:
    return tuple(experiment.directors[number] for number in down)


def _not_measured(experiment: Experiment, losses: Sequence[ProvenLoss]) -> list[tuple[str, str]]:
    """What was not measured, and why."""
    rows = []
    for loss in losses:
        who = " and ".join(loss.down)
        for name, window in (("before", loss.before), ("after", loss.after)):
            if window is None:
                rows.append((f"{name} the loss of {who}", "the run ended before"))
                continue
            rows += [
                (f"{carried.director}, {name} the loss of {who}", "its link's counters are missing")
                for carried in window.carried
                if carried.measured_bps is None
            ]
    missing = experiment.planned - len(losses)
    if missing:
        rows.append((f"{missing} of {experiment.planned} losses", "the run ended before"))
    return rows
