"""A director's connection table at any instant, rebuilt from its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import ENTRY_KEY
from analyzer.ipvs.table_diff.restarts import BUSY_STATES
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd

_KEY = list(ENTRY_KEY)
"""The columns by which two rows of ``entries/`` describe the same entry."""


def entries_at(changes: pd.DataFrame, polls: pd.DataFrame, at_ns: int) -> pd.DataFrame:
    """The connection tables at an instant, as far as the polls show.

    An entry that one torn read missed is there all the same if a later read found it again.

    Args:
        changes: the recording's ``entries``.
        polls: the recording's ``polls``.
        at_ns: Unix time on the client's clock, nanoseconds.

    Returns:
        ``changes`` less ``change``, a row per entry, its ``at`` the poll that first saw it so; and
        ``polled_ns``, the last poll of entries up to the instant. ``expires_s`` is what was at
        least left of the timer at the instant, and <NA> in the states whose restarts are not
        recorded (``BUSY_STATES``). A director whose entries had not been polled has no rows.
    """
    entry_polls = polls[(polls["what"] == "entries") & (ns(polls["at"]) <= at_ns)]
    polled_ns = entry_polls.assign(at=ns(entry_polls["at"])).groupby("director")["at"].max()
    known = changes[(ns(changes["at"]) <= at_ns) & changes["director"].isin(polled_ns.index)]
    in_time = known.sort_values("at", kind="stable")
    last = in_time.drop_duplicates(_KEY, keep="last")
    held = last[last["change"] != "gone"].drop(columns="change").reset_index(drop=True)
    elapsed_s = -(
        (ns(held["at"]) - at_ns) // NS_PER_S
    )  # rounded up, for what is left is rounded down
    left_s = (held["expires_s"] - elapsed_s).clip(lower=0)
    return held.assign(
        expires_s=left_s.mask(held["state"].isin(BUSY_STATES)),
        polled_ns=held["director"].map(polled_ns).astype("int64"),
    )
