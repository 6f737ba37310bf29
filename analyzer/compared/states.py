"""Polled states beside the predicted ones, compared by ranges of polls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared.beside import beside
from analyzer.predicted.entries import state_number
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.observed.entries import Sampled
    from analyzer.predicted.entries import Prediction

    Ints = npt.NDArray[np.int64]

PACKET_MARGIN_NS = 30_000_000


def state_matches(
    prediction: Prediction, samples: Sampled, stamps_s: float = 0.0
) -> tuple[int, int]:
    """How many polled states were the predicted ones, and of how many not too near a packet.

    Args:
        prediction: of a director.
        samples: its polled states.
        stamps_s: how well a poll's instant is known against a packet's.
    """
    margin_ns = max(PACKET_MARGIN_NS, round(stamps_s * NS_PER_S))
    matches = counted = 0
    flow = prediction.steps["flow"].to_numpy()
    for held, rows in beside(samples.held, flow, prediction.store):
        if held.empty:
            continue
        same, common = _matches(prediction.steps.iloc[rows], held, samples, margin_ns)
        matches, counted = matches + same, counted + common
    return matches, counted


def _matches(
    steps: pd.DataFrame, held: pd.DataFrame, samples: Sampled, margin_ns: int
) -> tuple[int, int]:
    """``state_matches`` of some flows."""
    polls = len(samples.polled_ns)
    first, until = _calm_polls(steps, samples, margin_ns)
    predicted_row, polled_row = _overlapping(
        _ranges(steps["flow"].to_numpy(), first, until, polls),
        _ranges(held["flow"].to_numpy(), held["first"].to_numpy(), held["until"].to_numpy(), polls),
    )
    common = np.minimum(until[predicted_row], held["until"].to_numpy()[polled_row])
    common -= np.maximum(first[predicted_row], held["first"].to_numpy()[polled_row])
    codes, names = held["state"].factorize()
    known = [state_number(str(name)) for name in names]
    numbers = np.array([-1 if number is None else number for number in known], dtype=np.int64)
    polled = numbers[codes] if len(names) else codes
    same = steps["state"].to_numpy()[predicted_row] == polled[polled_row]
    return int(common[same].sum()), int(common.sum())


def _calm_polls(steps: pd.DataFrame, samples: Sampled, margin_ns: int) -> tuple[Ints, Ints]:
    """The polls between each packet and the next of its flow, those near either left out.

    A poll takes its instant first and reads the table then: it must have had its answer before the
    next packet.
    """
    flow, at_ns = steps["flow"].to_numpy(), steps["at_ns"].to_numpy()
    polled_ns, answered_ns = samples.polled_ns, samples.answered_ns
    first = np.searchsorted(polled_ns, at_ns + margin_ns, side="right")
    until = np.full(len(at_ns), len(polled_ns))
    ready_ns = polled_ns if answered_ns is None else np.maximum(polled_ns, answered_ns)
    before = np.searchsorted(np.maximum.accumulate(ready_ns), at_ns[1:] - margin_ns)
    until[:-1] = np.where(flow[1:] == flow[:-1], before, until[:-1])
    return first, np.maximum(first, until)


def _ranges(flow: Ints, first: Ints, until: Ints, polls: int) -> tuple[Ints, Ints]:
    """Ranges of polls as numbers that are apart for each flow."""
    base = flow.astype(np.int64) * (polls + 1)
    return base + first, base + until


def _overlapping(
    predicted_row: tuple[Ints, Ints], polled_row: tuple[Ints, Ints]
) -> tuple[Ints, Ints]:
    """Pairs of ranges that have polls in common; ascending, those of one side disjoint."""
    first = np.searchsorted(predicted_row[1], polled_row[0], side="right")
    counts = np.maximum(np.searchsorted(predicted_row[0], polled_row[1]) - first, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return first[which] + step, which
