"""What single pieces of evidence say of a timeout: between which instants, and which values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from analyzer.ipvs.states import TIMEOUT_NAMES, State, Timeouts
from analyzer.ipvs.table_diff.reads import WHOLE_READ_LINES
from analyzer.observed.entries import ns
from analyzer.recording.clock import REACTION_S
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.compared.evidence import Evidence
    from analyzer.ipvs.states import SettableName
    from analyzer.recording.director import Director


Source = Literal["entries", "director", "somebody"]

NAMES: tuple[SettableName, ...] = ("tcp", "tcpfin", "udp")
STATE_OF: dict[str, State] = {name: state for state, name in TIMEOUT_NAMES.items()}
"""The state that each settable timeout governs (and, of no use, one of the fixed ones)."""

READ_BY_THE_DIRECTOR = frozenset({"ipvsadm", "netlink", "printed in the log"})
"""Sources of timeouts that were read on the director; others were told by somebody."""

WIDEST_S = 600
"""A reading that leaves more open than this says nothing."""

_EPOCH = pd.Timestamp(0, tz="UTC")


@dataclass(frozen=True, slots=True)
class Reading:
    """One or some pieces of evidence that say the same, one after another.

    Attributes:
        since_ns: the value was in force by then, Unix time.
        still_ns: and at that moment or after it.
        low_s, high_s: it is one of these whole seconds, both included.
        likely_s: the likeliest of these.
        n: how many entries show it.
        by: who says so: entries; the director itself, when asked or set; or somebody (an
            operator, a file beside the recording).
    """

    since_ns: int
    still_ns: int
    low_s: int
    high_s: int
    likely_s: int
    n: int = 1
    by: Source = "entries"


def told(
    director: Director, evidence: Evidence, slack_s: float
) -> dict[SettableName, list[Reading]]:
    """What was read of the timeouts at the start, and of their changes.

    Args:
        director: its facts.
        evidence: with the events ``timeouts-changed``: three numbers, of which 0 leaves one as
            it is. Between ``since`` and ``at`` a packet may have found either value.
        slack_s: how well its clock is known.
    """
    slack_ns = round(slack_s * NS_PER_S)
    is_read = director.timeouts_source in READ_BY_THE_DIRECTOR
    changes = list(_changes(director, evidence, is_read=is_read))
    found = {}
    for index, name in enumerate(NAMES):
        last_s = value_s(director.timeouts, name)
        source: Source = "director" if is_read else "somebody"
        rows = [_at(evidence.zero_ns, last_s, source)]
        for at_ns, since_ns, numbers in changes:
            if since_ns is not None:
                rows.append(_at(since_ns - slack_ns, last_s, source))
            if numbers[index]:
                last_s, source = numbers[index], "director"
            rows.append(_at(at_ns + slack_ns, last_s, source))
        found[name] = [row for row in rows if row]
    return found


def value_s(timeouts: Timeouts | None, name: SettableName) -> int | None:
    """One of the three, in whole seconds; None if they are not known."""
    return None if timeouts is None else round(getattr(timeouts, f"{name}_s"))


def _at(at_ns: int, value_s: int | None, by: Source) -> Reading | None:
    return None if value_s is None else Reading(at_ns, at_ns, value_s, value_s, value_s, 0, by)


def _changes(
    director: Director, evidence: Evidence, *, is_read: bool
) -> Iterator[tuple[int, int | None, tuple[int, ...]]]:
    """When each change was over or noticed, since when it may have held, and the numbers.

    A poller notices late; where it did not note since when (older recordings), that is not known.
    """
    rows = evidence.events
    rows = rows[(rows["host"] == director.name) & (rows["kind"] == "timeouts-changed")]
    since = ns(rows["since"].fillna(_EPOCH))
    for at_ns, since_ns, detail in zip(ns(rows["at"]), since, rows["detail"], strict=True):
        numbers = tuple(int(word) for word in re.findall(r"\d{1,9}", str(detail))[:3])
        if len(numbers) == len(NAMES):
            exact = None if is_read else int(at_ns)
            yield int(at_ns), int(since_ns) or exact, numbers


def by_entries(
    director: Director, evidence: Evidence, packets: pd.DataFrame | None, slack_s: float
) -> dict[SettableName, list[Reading]]:
    """What the entries of a director show, as they were read first after a packet.

    Args:
        director: its facts.
        evidence: the recording.
        packets: those that belong to an entry: ``flow, at_ns, state`` (``Prediction.steps``), in
            order of flow and time; None without a capture.
        slack_s: how well its clock is known.
    """
    rows = _rows_read(director, evidence)
    if rows.empty:
        return {name: [] for name in NAMES}
    if packets is not None and director.clock_is_known:
        rows = _after_packets(rows, packets, slack_s)
    age_low_s = (rows["read_ns"] - rows["until_ns"]).to_numpy(dtype=np.float64) / 1e9 - slack_s
    age_high_s = (rows["by_ns"] - rows["from_ns"]).to_numpy(dtype=np.float64) / 1e9 + slack_s
    left_s = rows["expires_s"].to_numpy(dtype=np.int64)
    low_s = left_s + np.maximum(np.ceil(age_low_s), 0).astype(np.int64)
    high_s = left_s + np.floor(1 + np.minimum(age_high_s, 2 * WIDEST_S)).astype(np.int64)
    # rarely is a timer read the very jiffy it was started
    likely_s = np.clip(left_s + 1, low_s, np.maximum(low_s, high_s))
    rows = rows.assign(low_s=low_s, high_s=high_s, likely_s=likely_s)
    rows = rows[(low_s <= high_s) & (high_s - low_s <= WIDEST_S)]
    return {name: _runs(rows[rows["state"] == STATE_OF[name].name]) for name in NAMES}


def _runs(rows: pd.DataFrame) -> list[Reading]:
    """Rows of one timeout as readings, in order of time; neighbours that say the same as one."""
    if rows.empty:
        return []
    rows = rows.sort_values(["until_ns", "from_ns"], kind="stable")
    bounds = rows[["low_s", "high_s", "likely_s"]].to_numpy()
    begins = np.flatnonzero(np.r_[True, (bounds[1:] != bounds[:-1]).any(axis=1)])
    columns = (
        np.minimum.reduceat(rows["until_ns"].to_numpy(), begins),
        np.maximum.reduceat(rows["from_ns"].to_numpy(), begins),
        *bounds[begins].T,
        np.diff(np.r_[begins, len(rows)]),
    )
    return [Reading(*values) for values in zip(*(one.tolist() for one in columns), strict=True)]


def _rows_read(director: Director, evidence: Evidence) -> pd.DataFrame:
    """Changes of entries that show a settable timeout, and between which looks each came about.

    Returns:
        DataFrame with ``flow, state, expires_s``; ``read_ns, by_ns``: the look read it between;
        ``from_ns, until_ns``: its last packet came between; ``by_packet``: False.
    """
    rows = evidence.entries
    settable = [state.name for state, name in TIMEOUT_NAMES.items() if name != "fixed"]
    chosen = (rows["director"] == director.name) & (rows["change"] != "gone")
    chosen &= rows["protocol"] != "SCTP"  # whose timeouts nothing sets
    chosen &= rows["state"].isin(settable) & (rows["expires_s"] >= 1)
    chosen &= rows["origin"].fillna("") != "SYNC"
    rows = rows.loc[chosen, ["flow", "state", "expires_s", "at_ns"]]
    looks = _looks(director, evidence)
    place = np.searchsorted(looks["at_ns"], rows["at_ns"])
    known = (place > 0) & (place < len(looks))
    rows, place = rows[known], place[known]
    by_ns = looks["by_ns"].to_numpy()[place]
    found = pd.DataFrame(
        {
            "flow": rows["flow"].to_numpy(dtype=np.int64),
            "state": rows["state"].to_numpy(),
            "expires_s": rows["expires_s"].to_numpy(dtype=np.int64),
            "read_ns": rows["at_ns"].to_numpy(dtype=np.int64),
            "by_ns": by_ns,
            "from_ns": looks["before_ns"].to_numpy()[place],
            "until_ns": by_ns,
            "by_packet": False,
        }
    )
    return found.reset_index(drop=True)


def _looks(director: Director, evidence: Evidence) -> pd.DataFrame:
    """Its looks at entries, in order of time.

    Returns:
        DataFrame with ``at_ns``; ``by_ns``: when it was over; ``before_ns``: the last one before
        it that would have shown an entry that was there; of torn reads the last but one.
    """
    polls = evidence.polls
    polls = polls[(polls["director"] == director.name) & (polls["what"] == "entries")]
    polls = polls.sort_values("at")
    at_ns = ns(polls["at"])
    took_ns = np.rint(np.nan_to_num(polls["took_ms"].to_numpy(dtype=np.float64)) * 1e6)
    asked_ns = ns(polls["asked"].fillna(polls["at"]))
    by_ns = np.maximum(asked_ns + took_ns.astype(np.int64), at_ns)
    if len(at_ns) and not (at_ns % NS_PER_S).any():
        by_ns = by_ns + NS_PER_S  # stamps of whole seconds are rounded down
    lines = polls["entries"].fillna(0).to_numpy(dtype=np.int64)
    index = np.arange(len(at_ns))
    back = np.where(np.r_[0, lines[:-1]] <= WHOLE_READ_LINES, 1, 2)
    before_ns = at_ns[np.maximum(index - back, 0)] if len(at_ns) else at_ns
    return pd.DataFrame({"at_ns": at_ns, "by_ns": by_ns, "before_ns": before_ns})


def _after_packets(rows: pd.DataFrame, packets: pd.DataFrame, slack_s: float) -> pd.DataFrame:
    """The same, the last packet known where it was captured and no other is about the look."""
    slack_ns = round((slack_s + REACTION_S) * NS_PER_S)
    numbers = packets["state"].map({int(state): state.name for state in State})
    at_ns = packets["at_ns"].astype("int64")
    seen = pd.DataFrame(
        {
            "flow": packets["flow"].astype("int64"),
            "look_ns": at_ns,
            "last_ns": at_ns.astype("Int64"),
            "led_to": numbers,
        }
    ).sort_values("look_ns", kind="stable")
    rows = rows.assign(row=np.arange(len(rows)))
    early = rows.assign(look_ns=rows["read_ns"] - slack_ns).sort_values("look_ns", kind="stable")
    late = rows.assign(look_ns=rows["by_ns"] + slack_ns).sort_values("look_ns", kind="stable")
    before, by_then = (
        pd.merge_asof(look, seen, on="look_ns", by="flow").set_index("row").sort_index()
        for look in (early, late)
    )
    same = (before["last_ns"] == by_then["last_ns"]).fillna(value=False)
    same &= (before["led_to"] == rows["state"]).fillna(value=False)
    last_ns = before["last_ns"].fillna(0).to_numpy(dtype=np.int64)
    # a packet that came before the look that did not show this state was not the last
    calm = same.to_numpy(dtype=bool) & (last_ns + slack_ns >= rows["from_ns"].to_numpy())
    moved = rows.drop(columns="row")
    moved["from_ns"] = np.where(calm, last_ns, moved["from_ns"])
    moved["until_ns"] = np.where(calm, last_ns, moved["until_ns"])
    moved["by_packet"] = calm
    return moved
