"""Lifetimes of a netfilter director's entries, and the sysctl that governs each group.

No timer wheel adds to them: an entry is gone for packets and reads in the jiffy that its timeout
ends, whenever the garbage collector frees it (``nf_ct_is_expired``). A read frees what has expired
and does not show it (``ct_seq_show``). So each entry's timeout lies between the last poll that had
it and the first that had not.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from analyzer.conntrack.states import UDP_STATES, CtState
from analyzer.estimate.groups import Group, as_seen, groups_of
from analyzer.estimate.timeout import ByPoll, agreed
from analyzer.observed.ends import protocols
from analyzer.predicted.entries import TIMER
from analyzer.predicted.phase import LEAST_EXPLAINED
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import seconds_since
from analyzer.results import Estimate, Lifetime

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from analyzer.conntrack.settings import ConntrackSettings
    from analyzer.observed.parted import Parted
    from analyzer.results import TimeoutName

SYSCTL = "sysctl"
"""The source of a timeout that was read on the director."""

_KERNEL, _FIXED = "kernel", "fixed"
_STATE_NAMES = {int(state): state.name for state in CtState}
_UDP = [state.name for state in UDP_STATES]
_LONGEST_JIFFY_S = 0.01  # at HZ 100: by so much an entry may be gone early


def conntrack_lifetimes(
    tracked: Parted, director: str, settings: ConntrackSettings, slack_s: float
) -> list[Lifetime]:
    """One row for each protocol, state, timeout and sysctl that entries ended in, largest first.

    Args:
        tracked: the director's tracked entries, from ``compared``; those without a last packet are
            left out.
        director: its name.
        settings: its sysctls.
        slack_s: how well the clocks and the last packets are known.
    """
    groups = groups_of(tracked, partial(_keyed, settings=settings))
    rows = [
        _measured(_row(director, settings, group.key, group.n), group, slack_s) for group in groups
    ]
    return sorted(rows, key=lambda row: -row.n)


def _keyed(
    tracked: pd.DataFrame, settings: ConntrackSettings
) -> tuple[pd.DataFrame, list[pd.Series]]:
    """The entries that say something of a timeout; protocol, state, sysctl and timeout of each."""
    known = tracked[tracked["last_ns"].notna()]
    if "cause" in known:
        known = known[known["cause"].fillna(TIMER) == TIMER]
    waited_s, names = _waited_s(known, settings), _names(known, settings)
    return known, [protocols(known), known["state"], names, waited_s]


def predicted_conntrack_lifetimes(
    parts: Iterable[pd.DataFrame], director: str, settings: ConntrackSettings
) -> list[Lifetime]:
    """Groups of entries, part by part, as the packets predict them; nothing measured."""
    counts: dict[tuple[Hashable, ...], int] = {}
    for entries in parts:
        known = entries[entries["cause"] == TIMER]
        known = known.assign(predicted_state=known["state"], state=known["state"].map(_STATE_NAMES))
        protocol = known["state"].isin(_UDP).map({True: "UDP", False: "TCP"})
        keys = [protocol, known["state"], _names(known, settings), known["timeout_s"]]
        for key, group in known.groupby(keys, sort=False, observed=True):
            counts[key] = counts.get(key, 0) + len(group)
    rows = [_row(director, settings, key, n) for key, n in counts.items()]
    return sorted(rows, key=lambda row: -row.n)


def _row(director: str, settings: ConntrackSettings, key: tuple[Hashable, ...], n: int) -> Lifetime:
    """A group of entries of one protocol, state, sysctl and timeout, nothing measured yet."""
    protocol, state, name, waited = map(str, key)
    waited_s = float(waited)
    is_assumed = name in settings.assumed
    known = None if is_assumed else _KERNEL if name == _FIXED else SYSCTL
    return Lifetime(
        director=director,
        state=state,
        counted=None,
        timeout_name=cast("TimeoutName", name),
        timeout_s=None if is_assumed or np.isnan(waited_s) else waited_s,
        n=n,
        n_expired=0,
        lifetime_s=None,
        timeout_measured_s=None,
        granule_s=None,
        prediction_error_s=None,
        timeout_source=known,
        protocol=protocol,
    )


def _is_as_replayed(tracked: pd.DataFrame) -> pd.Series:
    """Whether each entry ended in the state that the replay led it to."""
    if "predicted_state" not in tracked:
        return pd.Series(data=False, index=tracked.index)
    return tracked["predicted_state"].map(_STATE_NAMES) == tracked["state"]


def _waited_s(tracked: pd.DataFrame, settings: ConntrackSettings) -> pd.Series:
    """The timeout that each entry waited, seconds: as replayed, else its state's."""
    by_state_s = settings.timeout_by_state_s()
    own_s = {name: by_state_s[state] for name, state in CtState.__members__.items()}
    own = tracked["state"].map(own_s).astype("float64").rename("waited_s")
    replayed = _is_as_replayed(tracked)
    return own.mask(replayed, tracked["timeout_s"]) if replayed.any() else own


def _names(tracked: pd.DataFrame, settings: ConntrackSettings) -> pd.Series:
    """The sysctl that each entry waited for: as replayed, else by the timeout's value."""
    waited_s = _waited_s(tracked, settings)
    kinds = list(zip(tracked["state"].astype(str), waited_s, strict=True))
    by_value = {kind: _name_by_value(*kind, settings) for kind in set(kinds)}
    names = pd.Series([by_value[kind] for kind in kinds], tracked.index, "string", "timeout_name")
    if "timeout_name" not in tracked:
        return names
    return names.mask(_is_as_replayed(tracked), tracked["timeout_name"].astype("string"))


def _name_by_value(state: str, waited_s: float, settings: ConntrackSettings) -> str:
    known = CtState.__members__.get(state)
    return (None if known is None else settings.governing(known, waited_s)) or _FIXED


def _measured(row: Lifetime, group: Group, slack_s: float) -> Lifetime:
    row = replace(row, n_expired=group.n_expired)
    if not row.n_expired:
        return row
    return as_seen(row, group.ended, _timeout(group.ended, slack_s), slack_s)


def _timeout(ended: Parted, slack_s: float) -> Estimate | None:
    """The timeout that nearly all polls allow; None where they do not agree on one."""
    open_s = slack_s + REACTION_S
    polls = ByPoll(0.0, np.inf)
    zero_ns = next(int(part["absent_by_ns"].iloc[0]) for part in ended if len(part))
    for part in ended:
        polls.add(
            seconds_since(part["absent_by_ns"], zero_ns),
            seconds_since(part["seen_ns"], part["last_ns"]) - open_s,
            seconds_since(part["absent_by_ns"], part["last_ns"]) + open_s + _LONGEST_JIFFY_S,
        )
    least_s, most_s = polls.bounds()
    agrees = least_s <= most_s
    if not agrees.any():
        return None
    fit = agreed(least_s[agrees], most_s[agrees], len(least_s))
    if fit.share < LEAST_EXPLAINED:
        return None
    return Estimate(value=(fit.low_s + fit.high_s) / 2, uncertainty=(fit.high_s - fit.low_s) / 2)
