"""Observed lives that were seen to end: which of them count, and how long they lasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import State
from analyzer.recording.instants import midway_ns, seconds_since

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

WIDEST_LOOK_S = 2.0
"""An entry that went while nobody looked for longer than this, and for longer than usual, says
little about its lifetime."""

_TIMES_USUAL = 2.0


def protocols(lives: pd.DataFrame) -> pd.Series:
    """The protocol of each life; the one that its state belongs to where it is not noted."""
    if "protocol" in lives:
        return lives["protocol"]
    is_udp = lives["state"] == State.UDP.name
    return pd.Series(np.where(is_udp, "UDP", "TCP"), index=lives.index, name="protocol")


def seen_to_go(lives: pd.DataFrame) -> pd.DataFrame:
    """Those that went between two looks which lay no further apart than usual."""
    gone = lives[lives["gone_ns"].notna() & lives["seen_ns"].notna()]
    look_s = seconds_since(gone["gone_by_ns"], gone["seen_ns"])
    if not len(look_s):
        return gone
    return gone[look_s <= max(WIDEST_LOOK_S, _TIMES_USUAL * float(np.median(look_s)))]


def lived_spans_s(gone: pd.DataFrame) -> tuple[Floats, Floats]:
    """How long each of ``seen_to_go`` lived after its last packet, and how closely that is known.

    From the last packet to the middle of the two looks; or as the entry's own timer bounds it.
    """
    if "lived_s" in gone:
        return (
            gone["lived_s"].to_numpy(dtype=np.float64),
            gone["lived_half_s"].to_numpy(dtype=np.float64),
        )
    middle_ns = midway_ns(gone["seen_ns"], gone["gone_by_ns"])
    look_s = seconds_since(gone["gone_by_ns"], gone["seen_ns"])
    return seconds_since(middle_ns, gone["last_ns"]), look_s / 2
