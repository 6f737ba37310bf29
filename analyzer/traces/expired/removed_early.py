"""Entries that had ended before their time: the director resets, or does not translate, a packet.

That shows a timeout shorter than the one taken here, or something else that ended the entry; the
timers alone would have it there still.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import timeout_by_state_s
from analyzer.recording.instants import latest_row, seconds_since
from analyzer.traces.expired.answers import NOT_KNOWN, LateRows, answers_to_servers
from analyzer.traces.expired.cases import Cases, Source
from analyzer.traces.expired.model import ANSWERS
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.arrays import Ints
    from analyzer.observed.parted import Parted
    from analyzer.parts import Columns, Store
    from analyzer.traces.expired.part import DirectorFacts, FlowPart

LEAST_PAUSE_S = 5.0
"""Seconds of pause below which a packet met no expired entry."""


def asked_of(store: Store, run_resets: Parted) -> Columns:
    """The clients' packets that a director reset itself, after a pause: ``flow, at_ns``.

    Args:
        store: keeps them.
        run_resets: ``resets.resets``.
    """
    writer = store.columns()
    for rows in run_resets:
        chosen = (rows["by"] == "director") & (rows["stage"] != "handshake")
        chosen &= rows["pause_s"] >= LEAST_PAUSE_S
        asked = rows[chosen.to_numpy(dtype=bool)]
        writer.append({"flow": asked["flow"].to_numpy(), "at_ns": asked["asked_ns"].to_numpy()})
    return writer.finish()


def early_to_clients(facts: DirectorFacts, part: FlowPart) -> Cases:
    """The clients' packets that this director reset itself, though it should have had an entry."""
    flow, at_ns = part.asked["flow"], part.asked["at_ns"]
    # after a fail-over the rest goes to another director
    row = latest_row(part.passed.flow, part.passed.at_ns, flow, at_ns)
    here = row >= 0
    here[here] = part.passed.at_ns[row[here]] == at_ns[here]
    flow, at_ns, step = _after_steps(part, flow[here], at_ns[here])
    return _cases(facts, part, Source.EARLY_TO_CLIENT, flow, at_ns, step)


def early_to_servers(facts: DirectorFacts, part: FlowPart) -> Cases:
    """The first packet of a real server, of each entry, that was not sent on after a pause."""
    alone = part.not_sent_on(facts.macs)
    flow, at_ns, step = _after_steps(part, part.legs["flow"][alone], part.legs["at_ns"][alone])
    paused = at_ns - part.steps["at_ns"][step] >= round(LEAST_PAUSE_S * NS_PER_S)
    entry = part.steps["entry"][step[paused]]
    first = np.flatnonzero(paused)[np.flatnonzero(np.diff(entry, prepend=-1))]
    cases = _cases(facts, part, Source.EARLY_TO_SERVER, flow[first], at_ns[first], step[first])
    rows = LateRows(flow=cases.flow, at_ns=cases.at_ns, starts=np.arange(len(cases.flow)))
    return replace(cases, answer=answers_to_servers(facts, part, rows)).surely_ended()


def _after_steps(part: FlowPart, flow: Ints, at_ns: Ints) -> tuple[Ints, Ints, Ints]:
    """The packets before which one of their flow met an entry, and the row of that step."""
    step = latest_row(part.steps["flow"], part.steps["at_ns"], flow, at_ns - 1)
    met = step >= 0
    return flow[met], at_ns[met], step[met]


def _cases(
    facts: DirectorFacts, part: FlowPart, source: Source, flow: Ints, at_ns: Ints, step: Ints
) -> Cases:
    """The cases of packets within the last step's timeout, as if answered with a reset."""
    pause_s = seconds_since(at_ns, part.steps["at_ns"][step])
    state = part.steps["state"][step].astype(np.int8)
    timeout_s = timeout_by_state_s(facts.rules.timeouts)[state]
    within = (pause_s >= LEAST_PAUSE_S) & (pause_s < timeout_s)
    n = int(within.sum())
    return Cases(
        source=np.full(n, source, dtype=np.int8),
        flow=flow[within],
        at_ns=at_ns[within],
        packets=np.ones(n, dtype=np.int64),
        pause_s=pause_s[within],
        at_least_s=np.zeros(n),
        at_most_s=pause_s[within],
        state=state[within],
        timeout_s=timeout_s[within],
        answer=np.full(n, ANSWERS.index("reset"), dtype=np.int8),
        moved=np.full(n, NOT_KNOWN, dtype=np.int8),
    )
