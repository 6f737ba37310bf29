"""Packets of a connection that came after its entry had expired: how late, and what answered them.

The director has no entry for such a connection while its ends still hold it. Its own TCP answers a
client's packet with a reset, as the VIP is local; a datagram, or any packet under sloppy_tcp, makes
a new entry, perhaps for another real server; a real server's packet (nat) leaves untranslated, or
not at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import TIMEOUT_NAMES, Flag, State
from analyzer.ipvs.timers import granule_s
from analyzer.parts import rows_of_flows, same_flows
from analyzer.predicted.entries import TIMER
from analyzer.recording.instants import latest_row
from analyzer.traces.expired.answers import answer_to_client, answer_to_server, moved
from analyzer.traces.expired.model import LatePacket
from analyzer.traces.expired.removed_early import ended_sooner
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from typing import Any

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.observed.parted import Parted
    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Row = dict[Hashable, Any]


def late_packets(result: Measured, evidence: Evidence, run_resets: Parted) -> list[LatePacket]:
    """The packets that came after one director's entries had expired; none without a capture.

    Args:
        result: what was measured of it.
        evidence: the recording.
        run_resets: ``resets.resets`` of it.
    """
    if result.passage is None or result.prediction is None or result.prediction.entries.empty:
        return []
    segments = result.passage.segments
    record = evidence.by_director[result.director.name]
    open_s = record.clock.margin_s
    if record.polls.empty:
        result = replace(
            result, rules=replace(result.rules, phase_s=None)
        )  # its uptime is not known
    late: Sequence[tuple[Literal["client", "server"], Iterable[pd.DataFrame]]] = [
        ("client", _after_their_end(result, _without_entry(result, segments), slack_ns=0)),
        ("server", _after_their_end(result, _from_servers(evidence), round(open_s * NS_PER_S))),
    ]
    cases = [
        *(_case(result, evidence, by, rows, open_s) for by, found in late for rows in found),
        *_new_entries(result, evidence, open_s),
        *ended_sooner(result, evidence, run_resets),
    ]
    return sorted(cases, key=lambda case: case.at_ns)


def _without_entry(result: Measured, segments: Segments) -> pd.DataFrame:
    """The clients' packets that found no entry."""
    assert result.prediction is not None
    steps = result.prediction.steps
    flow = steps["flow"].to_numpy()
    columns = {name: steps[name].to_numpy() for name in ("flow", "at_ns")}
    tasks = []
    for part in segments.parts():
        rows = same_flows(part.flow, flow)
        tasks.append((part, *(column[rows] for column in columns.values())))
    return pd.concat(list(segments.store.map(_without_step, tasks)))


def _without_step(segments: Segments, step_flow: Ints, step_ns: Ints) -> pd.DataFrame:
    """The clients' packets that are none of the steps of these flows."""
    from_clients = segments.to_vip & ~is_one_of(segments.flag, (Flag.SYN, Flag.RST, Flag.DATAGRAM))
    rows = pd.DataFrame(
        {
            "flow": segments.flow[from_clients],
            "at_ns": segments.at_ns[from_clients],
            "flag": segments.flag[from_clients],
        }
    )
    flow, at_ns = (rows[name].to_numpy(dtype=np.int64) for name in ("flow", "at_ns"))
    step = latest_row(step_flow, step_ns, flow, at_ns)
    met = step >= 0
    met[met] = step_ns[step[met]] == at_ns[met]
    return rows[~met]


def _from_servers(evidence: Evidence) -> pd.DataFrame:
    """The real servers' packets that were not sent on as the VIP's."""
    assert evidence.captured is not None
    return evidence.captured.rewriting.not_sent_on(evidence.captured.forwarder_macs)


def _after_their_end(result: Measured, rows: pd.DataFrame, slack_ns: int) -> Iterable[pd.DataFrame]:
    """The packets whose flow's latest entry had been ended by its timer, by that entry."""
    assert result.prediction is not None
    if rows.empty:
        return ()
    entries = result.prediction.entries
    entries = entries.iloc[rows_of_flows(entries["flow"].to_numpy(), rows["flow"].to_numpy())]
    began = entries.rename_axis("entry").reset_index().sort_values("first_ns", kind="stable")
    late = pd.merge_asof(
        rows.astype({"flow": "int64"}).sort_values("at_ns", kind="stable"),
        began.astype({"flow": "int64", "first_ns": "int64"}),
        left_on="at_ns",
        right_on="first_ns",
        by="flow",
    )
    late = late[late["entry"].notna() & (late["cause"] == TIMER)]
    late = late[late["at_ns"] >= late["ends_ns"].astype("int64") - slack_ns]
    return (group for _, group in late.groupby("entry", sort=False))


def _case(
    result: Measured,
    evidence: Evidence,
    by: Literal["client", "server"],
    group: pd.DataFrame,
    open_s: float,
) -> LatePacket:
    row = group.iloc[0].to_dict()
    at_ns = group["at_ns"].to_numpy(dtype=np.int64)
    answer = answer_to_client if by == "client" else answer_to_server
    return LatePacket(
        director=result.director.name,
        flow=int(row["flow"]),
        at_ns=int(at_ns[0]),
        by=by,
        **_lateness(result, row, int(at_ns[0]), open_s),
        packets=len(group),
        answer=answer(evidence, int(row["flow"]), at_ns),
    )


def _lateness(result: Measured, entry: Row, at_ns: int, open_s: float) -> dict[str, Any]:
    """How late a packet is for an entry: by the timer where it is known, else by its granules."""
    timeout_s, rules = float(entry["timeout_s"]), result.rules
    pause_s = (at_ns - int(entry["last_ns"])) / NS_PER_S
    if rules.hz is None or rules.phase_s is None:
        granules = [granule_s(timeout_s, hz) for hz in ([rules.hz] if rules.hz else KNOWN_HZ)]
        late_s = (pause_s - timeout_s - max(granules) - open_s, pause_s - timeout_s)
    else:
        open_s += result.inferred.phase.uncertainty_s if result.inferred else 0.0
        nominal_s = (at_ns - int(entry["ends_ns"])) / NS_PER_S
        late_s = (nominal_s - open_s, nominal_s + open_s)
    return {
        "state": State(int(entry["state"])).name,
        "timeout_s": timeout_s,
        "assumed": _is_assumed(result, State(int(entry["state"]))),
        "pause_s": pause_s,
        "late_s": late_s,
    }


def _is_assumed(result: Measured, state: State) -> bool:
    name, director = TIMEOUT_NAMES[state], result.director
    return name != "fixed" and (director.timeouts is None or name in director.assumed_timeouts)


def _new_entries(result: Measured, evidence: Evidence, open_s: float) -> list[LatePacket]:
    """Datagrams that came after their flow's entry had expired, and made a new one."""
    assert result.prediction is not None
    entries = result.prediction.entries
    entries = entries[entries["state"] == State.UDP]
    before, after = entries.iloc[:-1], entries.iloc[1:]
    again = (before["flow"].to_numpy() == after["flow"].to_numpy()) & (
        before["cause"].to_numpy() == TIMER
    )
    return [
        LatePacket(
            director=result.director.name,
            flow=int(old["flow"]),
            at_ns=int(new["first_ns"]),
            by="client",
            **_lateness(result, old, int(new["first_ns"]), open_s),
            packets=1,
            answer="new-entry",
            moved=moved(evidence, int(old["flow"]), int(new["first_ns"])),
        )
        for old, new in zip(
            before[again].to_dict("records"), after[again].to_dict("records"), strict=True
        )
    ]
