"""The finding about source ports that come back while conntrack still has their entry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.states import CtState, Kind, kind_of
from analyzer.ipvs.states import Flag
from analyzer.recording.instants import latest_row
from analyzer.results import Finding
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.findings.figures import Figures
    from analyzer.measured import Measured
    from analyzer.wire.segments import Segments

_DELAY_S = 0.9
_ACK = 0x10
_STATE_NAMES = {int(state): state.name for state in CtState}
_ANSWERS = {
    "began": "the real server began anew",
    "challenged": "the real server answered as for the old connection",
    "reset": "it was reset",
    "silence": "nothing came back",
}
"""What the first packet after such a SYN was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """A SYN that met an entry of an earlier connection.

    Attributes:
        reopened: it ended that entry and made the next; else it went on with it.
        state: of that entry, as predicted.
        delay_s: until a SYN-ACK that answered it or a retransmission; None without one.
    """

    flow: int
    at_ns: int
    state: str
    reopened: bool
    answer: str
    delay_s: float | None


def port_reuse(figures: Figures) -> Finding | None:
    """SYNs from ports whose entries were still there, and what they met."""
    met = [one for result in figures.by_conntrack for one in _met(result)]
    if not met:
        return None
    passed = [one for one in met if not one.reopened]
    late = [one for one in passed if one.delay_s is None or one.delay_s > _DELAY_S]
    return Finding(
        id="conntrack-port-reuse",
        severity="problem" if late else "warning" if passed else "info",
        title=_title(met, passed, late),
        evidence=" ".join([*_reopened(figures, met), *_passed_on(figures, passed)]),
        advice=_ADVICE if passed else _HARMLESS,
    )


_HARMLESS = (
    "A SYN ends an entry in TIME_WAIT, and one in CLOSE after the client's own reset, and makes "
    "the next at once: no wait, and maybe another real server."
)
_ADVICE = (
    "In every other state the SYN goes on to the old real server, whose own socket decides: where "
    "it still has the old connection the client waits for a retransmission. Have clients not "
    "reuse a port so soon (more ports or addresses), and close connections on both sides; "
    "nf_conntrack_tcp_be_liberal and nf_conntrack_tcp_loose change nothing of it."
)


def _title(met: Sequence[_Met], passed: Sequence[_Met], late: Sequence[_Met]) -> str:
    came = f"{_connections(len(met))} came from a source port whose entry was still there"
    if late:
        return f"{came}; {len(late):,} of them waited or failed"
    return f"{came}; {len(passed):,} went on with the old entry" if passed else came


def _connections(n: int) -> str:
    return "1 connection" if n == 1 else f"{n:,} connections"


def _reopened(figures: Figures, met: Sequence[_Met]) -> Iterator[str]:
    rows = [one for one in met if one.reopened]
    if rows:
        yield (
            f"{_connections(len(rows))} ended the old entry ({_by_state(rows)}) and got one of "
            f"their own: {figures.ends(one.flow for one in rows)} "
            f"({figures.when([one.at_ns for one in rows])})."
        )


def _passed_on(figures: Figures, rows: Sequence[_Met]) -> Iterator[str]:
    if not rows:
        return
    answers = Counter(one.answer for one in rows).most_common()
    known = [one.delay_s for one in rows if one.delay_s is not None]
    unanswered = len(rows) - len(known)
    waits = f" The latest SYN-ACK came after {max(known):.2f} s." if known else ""
    never = f" {unanswered:,} never got one in the recording." if unanswered else ""
    yield (
        f"{_connections(len(rows))} went on with the old entry ({_by_state(rows)}): "
        f"{figures.ends(one.flow for one in rows)} ({figures.when([one.at_ns for one in rows])}); "
        + ", ".join(f"{_ANSWERS[answer]} {n:,} time{'s' * (n > 1)}" for answer, n in answers)
        + f".{waits}{never}"
    )


def _by_state(rows: Sequence[_Met]) -> str:
    return ", ".join(
        f"{n:,} in {state}" for state, n in Counter(one.state for one in rows).most_common()
    )


def _met(result: Measured) -> Iterator[_Met]:
    """The SYNs that began a connection while an entry of their flow was there."""
    if result.prediction is None or result.passage is None or result.prediction.entries.empty:
        return
    segments, prediction = result.passage.segments, result.prediction
    assert segments.tcp is not None
    begins = segments.to_vip & (kind_of(segments.tcp.flags) == Kind.SYN)
    begins &= ~result.passage.handled.dropped
    rows = np.flatnonzero(begins)
    syns = pd.DataFrame({"flow": segments.flow[rows], "sequence": segments.sequence[rows]})
    rows = rows[~syns.duplicated().to_numpy()]  # the first of its retransmissions
    flow, at_ns = segments.flow[rows], segments.at_ns[rows]
    entries, steps = prediction.entries, prediction.steps
    of, first_ns = (entries[name].to_numpy(dtype=np.int64) for name in ("flow", "first_ns"))
    old, now = (latest_row(of, first_ns, flow, by_ns) for by_ns in (at_ns - 1, at_ns))
    of, step_ns = (steps[name].to_numpy(dtype=np.int64) for name in ("flow", "at_ns"))
    state = steps["state"].to_numpy()[latest_row(of, step_ns, flow, at_ns - 1)]
    met = (old >= 0) & (at_ns <= entries["ends_ns"].to_numpy(dtype=np.int64)[old])
    columns = (each[met].tolist() for each in (rows, flow, at_ns, state, now != old))
    for row, of_flow, instant_ns, number, reopened in zip(*columns, strict=True):
        answer, delay_s = _answer(segments, row)
        yield _Met(
            flow=of_flow,
            at_ns=instant_ns,
            state=_STATE_NAMES[number],
            reopened=reopened,
            answer=answer,
            delay_s=delay_s,
        )


def _answer(segments: Segments, row: int) -> tuple[str, float | None]:
    """What the first reply after a SYN was, and how long a SYN-ACK took."""
    assert segments.tcp is not None
    end = int(np.searchsorted(segments.flow, segments.flow[row], side="right"))
    replies = row + 1 + np.flatnonzero(~segments.to_vip[row + 1 : end])
    if not len(replies):
        return "silence", None
    flags = segments.flag[replies]
    begun = replies[(flags == Flag.SYN) & ((segments.tcp.flags[replies] & _ACK) != 0)]
    delay_s = int(segments.at_ns[begun[0]] - segments.at_ns[row]) / NS_PER_S if len(begun) else None
    if flags[0] == Flag.RST:
        return "reset", delay_s
    return ("began" if len(begun) and begun[0] == replies[0] else "challenged"), delay_s
