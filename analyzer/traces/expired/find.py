"""Packets of a connection that came after its entry had expired: how late, and what answered them.

The director has no entry for such a connection while its ends still hold it. Its own TCP answers a
client's packet with a reset, as the VIP is local; a datagram, or any packet under sloppy_tcp, makes
a new entry, perhaps for another real server; a real server's packet (nat) leaves untranslated, or
not at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag, State
from analyzer.ipvs.timers import granule_s
from analyzer.parts import Rows
from analyzer.recording.instants import latest_row, seconds_since
from analyzer.traces.expired.answers import (
    NOT_KNOWN,
    LateRows,
    answers_to_clients,
    answers_to_servers,
    longest_pause_ns,
    moved,
)
from analyzer.traces.expired.cases import Cases, Found, Source, found_in
from analyzer.traces.expired.model import ANSWERS, NO_LATE_PACKETS, LatePackets
from analyzer.traces.expired.part import DirectorFacts, parts_of
from analyzer.traces.expired.removed_early import asked_of, early_to_clients, early_to_servers
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.arrays import Floats, Ints
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.observed.parted import Parted
    from analyzer.parts import Columns
    from analyzer.traces.expired.part import FlowPart

    Int8s = npt.NDArray[np.int8]


def late_packets(
    evidence: Evidence, measured: Sequence[Measured], run_resets: Parted
) -> LatePackets:
    """The packets that came after entries of IPVS had expired; none without a capture.

    Args:
        evidence: the recording.
        measured: one per director.
        run_resets: ``resets.resets`` of it.
    """
    if evidence.captured is None:
        return NO_LATE_PACKETS
    asked = asked_of(evidence.captured.segments.store, run_resets)
    return LatePackets.together(
        _of_director(evidence, result, asked) for result in measured if result.conntrack is None
    )


def _of_director(evidence: Evidence, result: Measured, asked: Columns) -> LatePackets:
    captured, prediction = evidence.captured, result.prediction
    if captured is None or result.passage is None or prediction is None or prediction.entries.empty:
        return NO_LATE_PACKETS
    facts, store = DirectorFacts.of(result, evidence), captured.segments.store
    writer, found = store.columns(), Found()
    tasks = ((facts, part) for part in parts_of(result, evidence, asked))
    for of_part in store.fill(writer, _of_part, tasks):
        found = found.plus(of_part)
    columns = writer.finish()
    return found.with_cases(columns) if found.kinds else NO_LATE_PACKETS


def _of_part(facts: DirectorFacts, part: FlowPart) -> Rows[Found]:
    cases = Cases.joined(
        [
            _from_clients(facts, part),
            _from_servers(facts, part),
            _new_entries(facts, part),
            early_to_clients(facts, part),
            early_to_servers(facts, part),
        ]
    )
    if not len(cases.flow):
        return Rows({}, Found())
    longest_ns = longest_pause_ns(part, cases.flow[~cases.of_servers])
    return Rows(cases.kept, found_in(cases, facts.assumed, longest_ns))


def _from_clients(facts: DirectorFacts, part: FlowPart) -> Cases:
    """Clients' packets that found no entry."""
    passed, steps = part.passed, part.steps
    chosen = passed.to_vip & ~is_one_of(passed.flag, (Flag.SYN, Flag.RST, Flag.DATAGRAM))
    flow, at_ns = passed.flow[chosen], passed.at_ns[chosen]
    step = latest_row(steps["flow"], steps["at_ns"], flow, at_ns)
    met = step >= 0
    met[met] = steps["at_ns"][step[met]] == at_ns[met]
    entry, rows = _after_their_end(part, flow[~met], at_ns[~met], slack_ns=0)
    answer = answers_to_clients(facts, part, rows)
    return _cases(facts, part, Source.FROM_CLIENT, entry, rows, answer)


def _from_servers(facts: DirectorFacts, part: FlowPart) -> Cases:
    """Real servers' packets that were not sent on as the VIP's."""
    alone = part.not_sent_on(facts.macs)
    flow, at_ns = part.legs["flow"][alone], part.legs["at_ns"][alone]
    slack_ns = round(facts.margin_s * NS_PER_S)
    entry, rows = _after_their_end(part, flow, at_ns, slack_ns=slack_ns)
    answer = answers_to_servers(facts, part, rows)
    return _cases(facts, part, Source.FROM_SERVER, entry, rows, answer)


def _after_their_end(
    part: FlowPart, flow: Ints, at_ns: Ints, *, slack_ns: int
) -> tuple[Ints, LateRows]:
    """The packets whose flow's latest entry had been ended by its timer, a case for each entry.

    Returns:
        The row of each case's entry in the part; shape (cases,). And the packets.
    """
    entries = part.entries
    entry = latest_row(entries["flow"], entries["first_ns"], flow, at_ns)
    late = entry >= 0
    late[late] = part.timed[entry[late]]
    late[late] = at_ns[late] >= entries["ends_ns"][entry[late]] - slack_ns
    starts = np.flatnonzero(np.diff(entry[late], prepend=-1))
    return entry[late][starts], LateRows(flow=flow[late], at_ns=at_ns[late], starts=starts)


def _new_entries(facts: DirectorFacts, part: FlowPart) -> Cases:
    """Datagrams that came after their flow's entry had expired, and made a new one."""
    entries = part.entries
    of_udp = np.flatnonzero(entries["state"] == State.UDP)
    before, after = of_udp[:-1], of_udp[1:]
    again = (entries["flow"][before] == entries["flow"][after]) & part.timed[before]
    flow, at_ns = entries["flow"][before[again]], entries["first_ns"][after[again]]
    rows = LateRows(flow=flow, at_ns=at_ns, starts=np.arange(len(flow)))
    answer = np.full(len(flow), ANSWERS.index("new-entry"), dtype=np.int8)
    made = _cases(facts, part, Source.NEW_ENTRY, before[again], rows, answer)
    return replace(made, moved=moved(facts, part, flow, at_ns))


def _cases(
    facts: DirectorFacts,
    part: FlowPart,
    source: Source,
    entry: Ints,
    rows: LateRows,
    answer: Int8s,
) -> Cases:
    """The cases of packets after the end of some entries: shape (cases,)."""
    entries = {name: column[entry] for name, column in part.entries.items()}
    at_ns, timeout_s = rows.at_ns[rows.starts], entries["timeout_s"]
    pause_s = seconds_since(at_ns, entries["last_ns"])
    if facts.rules.hz is None or facts.rules.phase_s is None:
        at_most_s = pause_s - timeout_s
        at_least_s = at_most_s - _granules_s(facts.rules.hz, timeout_s) - facts.margin_s
    else:
        open_s = facts.margin_s + facts.phase_uncertainty_s
        nominal_s = seconds_since(at_ns, entries["ends_ns"])
        at_least_s, at_most_s = nominal_s - open_s, nominal_s + open_s
    return Cases(
        source=np.full(len(entry), source, dtype=np.int8),
        flow=rows.flow[rows.starts],
        at_ns=at_ns,
        packets=rows.packets,
        pause_s=pause_s,
        at_least_s=at_least_s,
        at_most_s=at_most_s,
        state=entries["state"].astype(np.int8),
        timeout_s=timeout_s,
        answer=answer,
        moved=np.full(len(entry), NOT_KNOWN, dtype=np.int8),
    )


def _granules_s(hz: int | None, timeout_s: Floats) -> Floats:
    """The widest granule of each timeout, by HZ or by every known one."""
    timeouts_s, number = np.unique(timeout_s, return_inverse=True)
    widest_s = [
        max(granule_s(each_s, each_hz) for each_hz in ([hz] if hz else KNOWN_HZ))
        for each_s in timeouts_s.tolist()
    ]
    return np.array(widest_s, dtype=np.float64)[number]
