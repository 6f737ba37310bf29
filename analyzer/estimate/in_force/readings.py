"""Evidence of a timeout's value: between which instants, and which values it allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from analyzer.compared.beside import beside
from analyzer.ipvs.states import TIMEOUT_NAMES, State, Timeouts
from analyzer.observed.entries import ns
from analyzer.observed.parted import Parted
from analyzer.recording.clock import REACTION_S
from analyzer.recording.instants import latest_row
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.ipvs.states import SettableName
    from analyzer.observed.record import DirectorRecord
    from analyzer.predicted.entries import Prediction
    from analyzer.recording.director import Director
    from analyzer.recording.polls import EntryPolls

    Ints = npt.NDArray[np.int64]

Source = Literal["entries", "director", "somebody"]

NAMES: tuple[SettableName, ...] = ("tcp", "tcpfin", "udp")
STATE_OF: dict[str, State] = {name: state for state, name in TIMEOUT_NAMES.items()}
"""The state that each settable timeout governs (and, of no use, one of the fixed ones)."""

_SETTABLE = [state for state, name in TIMEOUT_NAMES.items() if name != "fixed"]

READ_BY_THE_DIRECTOR = frozenset({"ipvsadm", "netlink", "printed in the log"})
"""Sources of timeouts that were read on the director; others were given by somebody."""

WIDEST_S = 600
"""A reading that leaves more open than this is not used."""

_EPOCH = pd.Timestamp(0, tz="UTC")


@dataclass(frozen=True, slots=True)
class TimeoutReading:
    """Pieces of evidence in a row that allow the same values of a timeout.

    Attributes:
        since_ns: the value was in force by then, Unix time.
        still_ns: and at that moment or after it.
        low_s, high_s: it is one of these whole seconds, both included.
        likely_s: the likeliest of these.
        n: how many entries show it.
        by: the source: entries; the director itself, when asked or set; or somebody (an
            operator, a file beside the recording).
    """

    since_ns: int
    still_ns: int
    low_s: int
    high_s: int
    likely_s: int
    n: int = 1
    by: Source = "entries"


def reported_readings(
    director: Director, evidence: Evidence, slack_s: float
) -> dict[SettableName, list[TimeoutReading]]:
    """What was read of the timeouts at the start, and of their changes.

    Args:
        director: its facts.
        evidence: with the events ``timeouts-changed``: three numbers, of which 0 leaves one as
            it is. Between ``since`` and ``at`` a packet may have met either value.
        slack_s: how well its clock is known.
    """
    slack_ns = round(slack_s * NS_PER_S)
    is_read = director.timeouts_source in READ_BY_THE_DIRECTOR
    changes = list(_changes(director, evidence, is_read=is_read))
    by_name = {}
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
        by_name[name] = [row for row in rows if row]
    return by_name


def value_s(timeouts: Timeouts | None, name: SettableName) -> int | None:
    """One of the three timeouts, in whole seconds; None if they are not known."""
    return None if timeouts is None else round(getattr(timeouts, f"{name}_s"))


def _at(at_ns: int, value_s: int | None, by: Source) -> TimeoutReading | None:
    return (
        None if value_s is None else TimeoutReading(at_ns, at_ns, value_s, value_s, value_s, 0, by)
    )


def _changes(
    director: Director, evidence: Evidence, *, is_read: bool
) -> Iterator[tuple[int, int | None, tuple[int, ...]]]:
    """When each change was over or noticed, since when it may have held, and the numbers.

    A poller notices late; where it did not note since when (older recordings), that is not known.
    """
    rows = evidence.by_director[director.name].events
    rows = rows[rows["kind"] == "timeouts-changed"]
    since = ns(rows["since"].fillna(_EPOCH))
    for at_ns, since_ns, detail in zip(ns(rows["at"]), since, rows["detail"], strict=True):
        numbers = tuple(int(word) for word in re.findall(r"\d{1,9}", str(detail))[:3])
        if len(numbers) == len(NAMES):
            exact = None if is_read else int(at_ns)
            yield int(at_ns), int(since_ns) or exact, numbers


def by_entries(
    director: Director, rows: pd.DataFrame, prediction: Prediction | None, slack_s: float
) -> dict[SettableName, list[TimeoutReading]]:
    """What the entries of a director show, as they were read first after a packet.

    Args:
        director: its facts.
        rows: ``rows_read`` of it.
        prediction: whose steps are the packets that belong to an entry; None without a capture.
        slack_s: how well its clock is known.
    """
    if prediction is not None and director.clock_is_known:
        pairs = _beside_packets(Parted.of(rows), prediction, slack_s)
        rows = pd.concat([after for _, after in pairs])
    return _by_name(_allowed(director, rows, slack_s))


def by_entries_alone(
    director: Director, record: DirectorRecord, slack_s: float
) -> dict[SettableName, list[TimeoutReading]]:
    """As ``by_entries`` without a capture, in parts in order of time: what is alike is counted."""
    parts = (_rows_read(_without_flows(part), record.entry_polls) for part in record.changes)
    return _by_name(pd.concat([_counted(_allowed(director, rows, slack_s)) for rows in parts]))


def _without_flows(changes: pd.DataFrame) -> pd.DataFrame:
    """Changes as recorded, as if all were of one flow: which is theirs does not matter here."""
    rows = changes[changes["client_port"] != 0]
    return rows.assign(flow=0, at_ns=ns(rows["at"]))


def allowed_in_parts(
    director: Director, record: DirectorRecord, prediction: Prediction, slack_s: float
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """All of ``rows_read``, not some, part by part; and of each what ``by_entries`` takes of it.

    That are rows of the same index with ``low_s, high_s``, the timeouts that they allow.
    """
    rows = record.entries.each(lambda part: _rows_read(part, record.entry_polls))
    if not director.clock_is_known:
        for part in rows:
            yield part, _allowed(director, part, slack_s)
        return
    for part, after in _beside_packets(rows, prediction, slack_s):
        yield part, _allowed(director, after, slack_s)


_ALIKE = ["state", "until_ns", "from_ns", "low_s", "high_s", "likely_s"]


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(_ALIKE, sort=False)["n"].sum().reset_index()


def _by_name(rows: pd.DataFrame) -> dict[SettableName, list[TimeoutReading]]:
    return {name: _runs(rows[rows["state"] == STATE_OF[name].name]) for name in NAMES}


def _allowed(director: Director, rows: pd.DataFrame, slack_s: float) -> pd.DataFrame:
    """The rows that leave little open, with the timeouts that each allows; ``n`` is 1."""
    jiffy_s = 1 / (director.hz or min(KNOWN_HZ))  # timers count whole ones
    age_low_s = (rows["read_ns"] - rows["until_ns"]).to_numpy(dtype=np.float64) / NS_PER_S
    age_low_s -= slack_s + jiffy_s
    age_high_s = (rows["by_ns"] - rows["from_ns"]).to_numpy(dtype=np.float64) / NS_PER_S
    age_high_s += slack_s + jiffy_s
    left_s = rows["expires_s"].to_numpy(dtype=np.int64)
    low_s = left_s + np.maximum(np.ceil(age_low_s), 0).astype(np.int64)
    high_s = left_s + np.floor(1 + np.minimum(age_high_s, 2 * WIDEST_S)).astype(np.int64)
    # rarely is a timer read the very jiffy it was started
    likely_s = np.clip(left_s + 1, low_s, np.maximum(low_s, high_s))
    rows = rows.assign(low_s=low_s, high_s=high_s, likely_s=likely_s, n=1)
    little: pd.DataFrame = rows[(low_s <= high_s) & (high_s - low_s <= WIDEST_S)]
    return little


def _runs(rows: pd.DataFrame) -> list[TimeoutReading]:
    """Rows of one timeout as readings, in order of time; equal neighbours merged."""
    if rows.empty:
        return []
    rows = rows.sort_values(_ALIKE[1:], kind="stable")
    bounds = rows[["low_s", "high_s", "likely_s"]].to_numpy()
    begins = np.flatnonzero(np.r_[True, (bounds[1:] != bounds[:-1]).any(axis=1)])
    runs = (
        np.minimum.reduceat(rows["until_ns"].to_numpy(), begins),
        np.maximum.reduceat(rows["from_ns"].to_numpy(), begins),
        *bounds[begins].T,
        np.add.reduceat(rows["n"].to_numpy(), begins),
    )
    return [
        TimeoutReading(*values)
        for values in zip(*(column.tolist() for column in runs), strict=True)
    ]


def rows_read(record: DirectorRecord) -> pd.DataFrame:
    """Changes of entries that show a settable timeout, and between which polls each came about.

    Of many changes they are those of a sample of the flows.

    Returns:
        DataFrame with ``flow, state, expires_s``; ``read_ns, by_ns``: the poll read it between;
        ``from_ns, until_ns``: its last packet came between.
    """
    return _rows_read(record.entries.some(), record.entry_polls)


def _rows_read(rows: pd.DataFrame, polls: EntryPolls) -> pd.DataFrame:
    settable = [state.name for state in _SETTABLE]
    chosen = rows["change"] != "gone"
    chosen &= rows["protocol"] != "SCTP"  # whose timeouts nothing sets
    chosen &= rows["state"].isin(settable) & (rows["expires_s"] >= 1)
    chosen &= rows["origin"].fillna("") != "SYNC"
    rows = rows.loc[chosen, ["flow", "state", "expires_s", "at_ns"]]
    read_ns = rows["at_ns"].to_numpy(dtype=np.int64)
    place = np.searchsorted(polls.at_ns, read_ns)
    known = (place > 0) & (place < len(polls.at_ns))
    rows, read_ns, place = rows[known], read_ns[known], place[known]
    by_ns = np.maximum(polls.by_ns, polls.at_ns)[place]
    before = np.maximum(polls.before(read_ns), 0)
    return pd.DataFrame(
        {
            "flow": rows["flow"].to_numpy(dtype=np.int64),
            "state": rows["state"].to_numpy(),
            "expires_s": rows["expires_s"].to_numpy(dtype=np.int64),
            "read_ns": read_ns,
            "by_ns": by_ns,
            "from_ns": polls.at_ns[before],
            "until_ns": by_ns,
        }
    )


def _beside_packets(
    rows: Parted, prediction: Prediction, slack_s: float
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Rows; and the same with their last packet, where it was captured and no other is near."""
    slack_ns = round((slack_s + REACTION_S) * NS_PER_S)
    steps = prediction.steps
    for part, place in beside(rows, steps["flow"].to_numpy(), prediction.store):
        yield part, _after_those(part, steps.iloc[place], slack_ns)


def _after_those(rows: pd.DataFrame, packets: pd.DataFrame, slack_ns: int) -> pd.DataFrame:
    """The same for some rows, and the packets of their flows."""
    if packets.empty:
        return rows
    flow, at_ns, led_to = (packets[name].to_numpy() for name in ("flow", "at_ns", "state"))
    flow_of_row, read_ns, by_ns, from_ns, until_ns = (
        rows[name].to_numpy() for name in ("flow", "read_ns", "by_ns", "from_ns", "until_ns")
    )
    before = latest_row(flow, at_ns, flow_of_row, read_ns - slack_ns)
    by_then = latest_row(flow, at_ns, flow_of_row, by_ns + slack_ns)
    state = _state_numbers(rows["state"])
    same = (before >= 0) & (at_ns[before] == at_ns[by_then]) & (led_to[before] == state)
    # a packet that came before the poll that did not show this state was not the last
    calm = same & (at_ns[before] + slack_ns >= from_ns)
    return rows.assign(
        from_ns=np.where(calm, at_ns[before], from_ns),
        until_ns=np.where(calm, at_ns[before], until_ns),
    )


def _state_numbers(names: pd.Series) -> Ints:
    """The number of each state, by its name; they are settable ones."""
    numbers = np.zeros(len(names), dtype=np.int64)
    for state in _SETTABLE:
        numbers[(names == state.name).to_numpy(dtype=bool)] = state
    return numbers
