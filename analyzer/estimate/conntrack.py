"""Lifetimes of a netfilter director's entries, and the sysctl that governs each group.

No timer wheel adds to them: an entry is gone for packets and reads in the jiffy that its timeout
ends, whenever the garbage collector frees it (``nf_ct_is_expired``). A read frees what has expired
and does not show it (``ct_seq_show``). So each entry's timeout lies between the last poll that had
it and the first that had not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.states import CtState
from analyzer.estimate.decay import as_seen
from analyzer.estimate.timeout import agreed
from analyzer.observed.ends import protocols, seen_to_end
from analyzer.predicted.entries import TIMER, state_name
from analyzer.predicted.phase import LEAST_EXPLAINED
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import seconds_since
from analyzer.results import Estimate, Lifetime

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.conntrack.settings import ConntrackSettings
    from analyzer.results import TimeoutName

SYSCTL = "sysctl"
"""The source of a timeout that was read on the director."""

_LONGEST_JIFFY_S = 0.01  # at HZ 100: by so much an entry may be gone early


def conntrack_lifetimes(
    tracked: pd.DataFrame, director: str, settings: ConntrackSettings, slack_s: float
) -> list[Lifetime]:
    """One row for each protocol, state and timeout that entries ended in, the largest group first.

    Args:
        tracked: the director's tracked entries, from ``join``; those without a last packet are
            left out.
        director: its name.
        settings: its sysctls.
        slack_s: how well the clocks and the last packets are known.
    """
    known = tracked[tracked["last_ns"].notna()]
    if "cause" in known:
        known = known[known["cause"].fillna(TIMER) == TIMER]
    keys = [protocols(known), known["state"], _waited_s(known, settings)]
    rows = [
        _measured(
            group_row(director, settings, str(protocol), str(state), float(str(waited_s)), group),
            group,
            slack_s,
        )
        for (protocol, state, waited_s), group in known.groupby(keys, sort=False, dropna=False)
    ]
    return sorted(rows, key=lambda row: -row.n)


def predicted_conntrack_lifetimes(
    entries: pd.DataFrame, director: str, settings: ConntrackSettings
) -> list[Lifetime]:
    """Groups of entries as the packets predict them, nothing measured."""
    remaining = entries[entries["cause"] == TIMER]
    rows = []
    for (number, waited_s), group in remaining.groupby(["state", "timeout_s"], sort=False):
        state = state_name(int(str(number)))
        protocol = "UDP" if state in ("UNREPLIED", "REPLIED", "ASSURED") else "TCP"
        waited = float(str(waited_s))
        rows.append(group_row(director, settings, protocol, state, waited, group))
    return sorted(rows, key=lambda row: -row.n)


def group_row(
    director: str,
    settings: ConntrackSettings,
    protocol: str,
    state: str,
    waited_s: float,
    group: pd.DataFrame,
) -> Lifetime:
    """A group of entries that ended in a state after one timeout, nothing measured yet."""
    known = CtState.__members__.get(state)
    governing = None if known is None else settings.governing(known, waited_s)
    is_assumed = governing in settings.assumed
    name: TimeoutName = governing or "fixed"  # type: ignore[assignment] # a sysctl's, all listed
    return Lifetime(
        director=director,
        state=state,
        counted=None,
        timeout_name=name,
        timeout_s=None if is_assumed or np.isnan(waited_s) else waited_s,
        n=len(group),
        n_expired=0,
        lifetime_s=None,
        timeout_measured_s=None,
        granule_s=None,
        prediction_error_s=None,
        timeout_source=None if is_assumed else SYSCTL if governing else "kernel",
        protocol=protocol,
    )


def _waited_s(tracked: pd.DataFrame, settings: ConntrackSettings) -> pd.Series:
    """The timeout that each entry waited, seconds: as replayed, else its state's."""
    by_state_s = settings.timeout_by_state_s()
    own_s = {name: by_state_s[state] for name, state in CtState.__members__.items()}
    own = tracked["state"].map(own_s).astype("float64")
    if "timeout_s" not in tracked:
        return own.rename("waited_s")
    names = tracked["predicted_state"].map({int(state): state.name for state in CtState})
    return own.where(names != tracked["state"], tracked["timeout_s"]).rename("waited_s")


def _measured(row: Lifetime, group: pd.DataFrame, slack_s: float) -> Lifetime:
    ended = seen_to_end(group)
    row = replace(row, n_expired=len(ended))
    if ended.empty:
        return row
    return as_seen(row, ended, _timeout(ended, slack_s), slack_s)


def _timeout(ended: pd.DataFrame, slack_s: float) -> Estimate | None:
    """The timeout that nearly all polls allow; None where they do not agree on one."""
    open_s = slack_s + REACTION_S
    low_s = seconds_since(ended["seen_ns"], ended["last_ns"]) - open_s
    high_s = seconds_since(ended["absent_by_ns"], ended["last_ns"]) + open_s + _LONGEST_JIFFY_S
    polls, poll = np.unique(ended["absent_by_ns"].to_numpy(dtype=np.int64), return_inverse=True)
    least_s, most_s = np.zeros(len(polls)), np.full(len(polls), np.inf)
    np.maximum.at(least_s, poll, low_s)
    np.minimum.at(most_s, poll, high_s)
    agrees = least_s <= most_s
    if not agrees.any():
        return None
    fit = agreed(least_s[agrees], most_s[agrees], len(polls))
    if fit.share < LEAST_EXPLAINED:
        return None
    return Estimate(value=(fit.low_s + fit.high_s) / 2, uncertainty=(fit.high_s - fit.low_s) / 2)
