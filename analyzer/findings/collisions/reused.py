"""The finding about source ports that come back while conntrack still has their entry."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.states import CtState, Kind, kind_of
from analyzer.findings.examples import Examples, FlowSet
from analyzer.ipvs.states import Flag
from analyzer.parts import same_flows
from analyzer.recording.instants import latest_row
from analyzer.results import Finding
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from analyzer.arrays import Bools, Floats, Ints
    from analyzer.findings.figures import Figures
    from analyzer.measured import Measured
    from analyzer.parts import Store
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

_BEGAN, _CHALLENGED, _RESET, _SILENCE = range(len(_ANSWERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """SYNs that met an entry of an earlier connection; every array has shape (n,).

    Attributes:
        state: of that entry, as predicted.
        reopened: it ended that entry and made the next; else it went on with it.
        answer: a place in ``_ANSWERS``.
        delay_s: until a SYN-ACK that answered it or a retransmission; NaN without one.
    """

    flow: Ints
    at_ns: Ints
    state: npt.NDArray[np.int8]
    reopened: Bools
    answer: npt.NDArray[np.int8]
    delay_s: Floats

    def only(self, chosen: Bools) -> _Met:
        """The chosen ones."""
        return _Met(**{name: getattr(self, name)[chosen] for name in self.__slots__})


@dataclass(slots=True)
class _Summary:
    """Some of them, counted; what is counted first comes first.

    Attributes:
        late: of those that went on, how many had no SYN-ACK soon.
        unanswered: how many had none.
        longest_s: the longest wait for one; NaN without one.
        flows: whose connections they are, of each director in parts, ascending.
        span_ns: the first and the last instant; no or two numbers.
    """

    n: int = 0
    states: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    flows: list[list[Ints]] = field(default_factory=list)
    late: int = 0
    unanswered: int = 0
    longest_s: float = math.nan
    span_ns: list[int] = field(default_factory=list)

    def see(self, met: _Met) -> None:
        """Count some more."""
        if not len(met.flow):
            return
        self.n += len(met.flow)
        self.states.update(_counted(met.state, _STATE_NAMES))
        self.answers.update(_counted(met.answer, dict(enumerate(_ANSWERS))))
        self.flows[-1].append(np.unique(met.flow))
        silent = np.isnan(met.delay_s)
        self.late += int((silent | (met.delay_s > _DELAY_S)).sum())
        self.unanswered += int(silent.sum())
        if not silent.all():
            self.longest_s = float(np.fmax(self.longest_s, np.nanmax(met.delay_s)))
        ends_ns = [*self.span_ns, int(met.at_ns.min()), int(met.at_ns.max())]
        self.span_ns = [min(ends_ns), max(ends_ns)]

    def examples(self, store: Store) -> Examples:
        """Whose connections they are, and when."""
        columns = [np.concatenate(parts) for parts in self.flows if parts]
        such = FlowSet(columns, store).examples()
        return replace(such, span_ns=(self.span_ns[0], self.span_ns[1]))


def _counted(numbers: npt.NDArray[np.int8], names: Mapping[int, str]) -> dict[str, int]:
    """How many there are of each, in the order of their coming."""
    code, found = pd.factorize(numbers)
    counts = np.bincount(code)
    return {names[number]: int(n) for number, n in zip(found.tolist(), counts, strict=True)}


def port_reuse(figures: Figures) -> Finding | None:
    """SYNs from ports whose entries were still there, and what they met."""
    reopened, passed = _Summary(), _Summary()
    for result in figures.by_conntrack:
        for summary in (reopened, passed):
            summary.flows.append([])
        for met in _met(result):
            reopened.see(met.only(met.reopened))
            passed.see(met.only(~met.reopened))
    if not reopened.n + passed.n:
        return None
    return Finding(
        id="conntrack-port-reuse",
        severity="problem" if passed.late else "warning" if passed.n else "info",
        title=_title(reopened.n + passed.n, passed),
        evidence=" ".join([*_reopened(figures, reopened), *_passed_on(figures, passed)]),
        advice=_ADVICE if passed.n else _HARMLESS,
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


def _title(n: int, passed: _Summary) -> str:
    came = f"{_connections(n)} came from a source port whose entry was still there"
    if passed.late:
        return f"{came}; {passed.late:,} of them waited or failed"
    return f"{came}; {passed.n:,} went on with the old entry" if passed.n else came


def _connections(n: int) -> str:
    return "1 connection" if n == 1 else f"{n:,} connections"


def _reopened(figures: Figures, rows: _Summary) -> Iterator[str]:
    if rows.n:
        such = rows.examples(figures.store)
        yield (
            f"{_connections(rows.n)} ended the old entry ({_by_state(rows)}) and got one of "
            f"their own: {figures.ends(such)} ({figures.when(such)})."
        )


def _passed_on(figures: Figures, rows: _Summary) -> Iterator[str]:
    if not rows.n:
        return
    such = rows.examples(figures.store)
    known = not math.isnan(rows.longest_s)
    waits = f" The latest SYN-ACK came after {rows.longest_s:.2f} s." if known else ""
    never = f" {rows.unanswered:,} never got one in the recording." if rows.unanswered else ""
    yield (
        f"{_connections(rows.n)} went on with the old entry ({_by_state(rows)}): "
        f"{figures.ends(such)} ({figures.when(such)}); "
        + ", ".join(
            f"{_ANSWERS[answer]} {n:,} time{'s' * (n > 1)}"
            for answer, n in rows.answers.most_common()
        )
        + f".{waits}{never}"
    )


def _by_state(rows: _Summary) -> str:
    return ", ".join(f"{n:,} in {state}" for state, n in rows.states.most_common())


def _met(result: Measured) -> Iterator[_Met]:
    """The SYNs that began a connection while an entry of their flow was there, part by part."""
    if result.prediction is None or result.passage is None or result.prediction.entries.empty:
        return
    segments, prediction = result.passage.segments, result.prediction
    entries, steps = prediction.entries, prediction.steps
    of_entries, of_steps = entries["flow"].to_numpy(), steps["flow"].to_numpy()
    for rows, part in zip(segments.cuts(), segments.parts(), strict=False):
        yield _met_in(
            part,
            result.passage.handled.dropped[rows],
            entries.iloc[same_flows(part.flow, of_entries)],
            steps.iloc[same_flows(part.flow, of_steps)],
        )


def _met_in(part: Segments, dropped: Bools, entries: pd.DataFrame, steps: pd.DataFrame) -> _Met:
    assert part.tcp is not None
    begins = part.to_vip & (kind_of(part.tcp.flags) == Kind.SYN) & ~dropped
    rows = np.flatnonzero(begins)
    syns = pd.DataFrame({"flow": part.flow[rows], "sequence": part.sequence[rows]})
    rows = rows[~syns.duplicated().to_numpy()]  # the first of its retransmissions
    flow, at_ns = part.flow[rows], part.at_ns[rows]
    of, first_ns, ends_ns = (
        entries[name].to_numpy(dtype=np.int64) for name in ("flow", "first_ns", "ends_ns")
    )
    old, now = (latest_row(of, first_ns, flow, by_ns) for by_ns in (at_ns - 1, at_ns))
    met = old >= 0
    met[met] = at_ns[met] <= ends_ns[old[met]]
    of, step_ns = (steps[name].to_numpy(dtype=np.int64) for name in ("flow", "at_ns"))
    step = latest_row(of, step_ns, flow[met], at_ns[met] - 1)
    answer, delay_s = _answers(part, rows[met])
    return _Met(
        flow=flow[met],
        at_ns=at_ns[met],
        state=steps["state"].to_numpy()[step],
        reopened=(now != old)[met],
        answer=answer,
        delay_s=delay_s,
    )


def _answers(part: Segments, rows: Ints) -> tuple[npt.NDArray[np.int8], Floats]:
    """What the first reply after each SYN was, and how long a SYN-ACK took; of whole flows."""
    assert part.tcp is not None
    begins = (part.flag == Flag.SYN) & ((part.tcp.flags & _ACK) != 0)
    reply, begun = (
        _next_of_flow(part.flow, rows, which) for which in (~part.to_vip, ~part.to_vip & begins)
    )
    answered, has_begun = reply >= 0, begun >= 0
    was_reset = answered & (part.flag[reply] == Flag.RST)
    at_once = has_begun & (begun == reply)
    answer = np.select(
        [~answered, was_reset, at_once],
        [_SILENCE, _RESET, _BEGAN],
        _CHALLENGED,
    ).astype(np.int8)
    delay_s = (part.at_ns[begun] - part.at_ns[rows]) / NS_PER_S
    return answer, np.where(has_begun, delay_s, math.nan)


def _next_of_flow(flow: Ints, rows: Ints, which: Bools) -> Ints:
    """The next of some segments after each row in its flow; -1 for none."""
    size = len(flow)
    places = np.where(which, np.arange(size), size)
    following = np.r_[np.minimum.accumulate(places[::-1])[::-1], size][rows + 1]
    there = following < size
    there[there] = flow[following[there]] == flow[rows[there]]
    return np.where(there, following, -1)
