"""Tracked entries that were seen to end: which of them count, and their lifetimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import State
from analyzer.parts.summary import median_of
from analyzer.recording.instants import midway_ns, seconds_since

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

WIDEST_POLL_GAP_S = 2.0
"""An entry that ended between polls further apart than this, and than usual, says little about its
lifetime."""

_TIMES_USUAL = 2.0


def protocols(tracked: pd.DataFrame) -> pd.Series:
    """The protocol of each tracked entry; by its state where it is not recorded."""
    if "protocol" in tracked:
        return tracked["protocol"]
    is_udp = tracked["state"] == State.UDP.name
    return pd.Series(np.where(is_udp, "UDP", "TCP"), index=tracked.index, name="protocol")


def kinds_of(tracked: pd.DataFrame) -> tuple[Ints, list[tuple[str, str]]]:
    """The protocol and state of each tracked entry.

    Returns:
        For each entry the place of its kind in the list; -1 where its state is not known.
    """
    protocol, names = pd.factorize(protocols(tracked))
    state, states = pd.factorize(tracked["state"])
    numbers = np.where((protocol < 0) | (state < 0), -1, protocol * len(states) + state)
    distinct, kind = np.unique(numbers, return_inverse=True)
    known = distinct[distinct >= 0].tolist()
    pairs = [divmod(number, len(states)) for number in known]
    return kind - (len(distinct) - len(known)), [(str(names[p]), str(states[s])) for p, s in pairs]


def seen_to_end(tracked: pd.DataFrame) -> pd.DataFrame:
    """The entries that ended between two polls no further apart than usual."""
    ended = with_end(tracked)
    gap_s = poll_gap_s(ended)
    return ended[gap_s <= widest_gap_s([gap_s])]


def with_end(tracked: pd.DataFrame) -> pd.DataFrame:
    """The entries that ended between two polls."""
    return tracked[tracked["absent_ns"].notna() & tracked["seen_ns"].notna()]


def poll_gap_s(ended: pd.DataFrame) -> Floats:
    """How far apart the two polls were between which each of ``with_end`` ended."""
    return seconds_since(ended["absent_by_ns"], ended["seen_ns"])


def widest_gap_s(gaps_s: Iterable[Floats]) -> float:
    """How far apart polls may be, of all ``poll_gap_s`` of a group, part by part."""
    usual_s = median_of(gaps_s)
    return max(WIDEST_POLL_GAP_S, _TIMES_USUAL * usual_s)  # that alone, where none ended


def lifetimes_s(ended: pd.DataFrame) -> tuple[Floats, Floats]:
    """Lifetimes of ``with_end`` after the last packet, and half of what polls leave open.

    From the last packet to the middle of the two polls; or as the entry's own timer bounds it.
    """
    if "lifetime_s" in ended:
        return (
            ended["lifetime_s"].to_numpy(dtype=np.float64),
            ended["lifetime_half_s"].to_numpy(dtype=np.float64),
        )
    middle_ns = midway_ns(ended["seen_ns"], ended["absent_by_ns"])
    return seconds_since(middle_ns, ended["last_ns"]), poll_gap_s(ended) / 2
