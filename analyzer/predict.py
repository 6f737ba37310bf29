"""From the wire alone: which entries each director must have held, in which state, until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.replay import NO_ENTRY, Rules, replay
from analyzer.ipvs.states import IS_ACTIVE, State, Timeouts

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.clock import DirectorClock
    from analyzer.director import Director
    from analyzer.wire.connections import Segments

    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one director must have held.

    Attributes:
        entries: one row per entry: ``client`` (as in Segments), ``first_ns, last_ns`` (its first
            and last packet), ``state`` (the last, a State), ``timeout_s``, ``ends_ns`` (when it
            goes), ``reused`` (it was ended by port reuse, not by its timer); index 0, 1, ...
        steps: one row per packet that belongs to an entry: ``entry, at_ns, state``.
    """

    director: str
    entries: pd.DataFrame
    steps: pd.DataFrame


def predict(
    segments: Segments, director: Director, clock: DirectorClock, forwarding: str, *, alone: bool
) -> Prediction:
    """Replay the segments that passed one director.

    Args:
        segments: of one service, captured on the client's link.
        director: whose MACs tell which segments passed it.
        clock: of that director.
        forwarding: dr, nat, tun or local.
        alone: it is the only director, so every segment to the VIP passed it even if its MACs
            are not known (and in nat every reply).
    """
    passed = np.isin(segments.peer_mac, list(director.macs))
    if alone and not passed.any():
        passed = segments.to_vip | (forwarding not in ("dr", "tun"))
    mine = segments.only(passed)
    rules = Rules(
        forwarding=forwarding,
        timeouts=director.timeouts or Timeouts(),
        hz=director.hz,
        phase_s=director.phase_s,
        conn_reuse_mode=director.conn_reuse_mode,
    )
    beliefs = replay(mine, clock.uptime_s(mine.at_ns), rules)
    frame = pd.DataFrame(
        {
            "entry": beliefs.entry,
            "client": mine.client,
            "at_ns": mine.at_ns,
            "state": beliefs.state,
            "timeout_s": beliefs.timeout_s,
            "expiry_uptime_s": beliefs.expiry_uptime_s,
            "reused": beliefs.reused,
        }
    )
    held = frame[frame["entry"] != NO_ENTRY]
    return Prediction(
        director=director.name,
        entries=_entries(held, clock),
        steps=held[["entry", "at_ns", "state"]].reset_index(drop=True),
    )


def _entries(held: pd.DataFrame, clock: DirectorClock) -> pd.DataFrame:
    grouped = held.groupby("entry")
    entries = grouped.agg(
        client=("client", "first"),
        first_ns=("at_ns", "first"),
        last_ns=("at_ns", "last"),
        state=("state", "last"),
        timeout_s=("timeout_s", "last"),
        expiry_uptime_s=("expiry_uptime_s", "last"),
        takes_over=("reused", "first"),
    )
    expiry_s = entries.pop("expiry_uptime_s").to_numpy(dtype=np.float64)
    takes_over = entries.pop("takes_over").to_numpy(dtype=bool)
    reused = np.r_[takes_over[1:], False] if len(entries) else takes_over
    next_first_ns = np.r_[entries["first_ns"].to_numpy()[1:], 0] if len(entries) else []
    entries["reused"] = reused
    entries["ends_ns"] = np.where(reused, next_first_ns, clock.client_ns(expiry_s))
    return entries


def predicted_curve(prediction: Prediction, chosen: Ints) -> tuple[Ints, Ints, Ints]:
    """ActiveConn and InActConn of some of the entries: when they change, and to what.

    Args:
        prediction: one director's.
        chosen: indices into ``prediction.entries``.

    Returns:
        ``at_ns, active, inactive``, each of shape (changes,), ascending in time.
    """
    steps = prediction.steps[np.isin(prediction.steps["entry"], chosen)]
    entry, at_ns = steps["entry"].to_numpy(), steps["at_ns"].to_numpy()
    active = IS_ACTIVE[steps["state"].to_numpy(dtype=np.int64)].astype(np.int64)
    first = np.r_[True, entry[1:] != entry[:-1]] if len(entry) else np.zeros(0, dtype=bool)
    before = np.where(first, 0, np.r_[0, active[:-1]]) if len(entry) else active
    ends = prediction.entries.iloc[chosen]
    ended_active = IS_ACTIVE[ends["state"].to_numpy(dtype=np.int64)].astype(np.int64)
    times = np.r_[at_ns, ends["ends_ns"].to_numpy(dtype=np.int64)]
    more_active = np.r_[active - before, -ended_active]
    more_entries = np.r_[first.astype(np.int64), -np.ones(len(ends), dtype=np.int64)]
    order = np.argsort(times, kind="stable")
    times, more_active, more_entries = times[order], more_active[order], more_entries[order]
    changed = np.flatnonzero(np.r_[np.diff(times) > 0, True]) if len(times) else times
    actives = np.cumsum(more_active)[changed]
    return times[changed], actives, np.cumsum(more_entries)[changed] - actives


def state_name(state: int) -> str:
    """The kernel's name of a State number."""
    return State(state).name
