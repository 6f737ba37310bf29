"""Entries that had ended before their time: the director resets, or does not translate, a packet.

That shows a timeout shorter than the one taken here, or something else that ended the entry; the
timers alone would have it there still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import TIMEOUT_NAMES, State, timeout_by_state_s
from analyzer.parts import rows_of_flows
from analyzer.traces.expired.answers import answer_to_server
from analyzer.traces.expired.model import SURELY_ENDED, LatePacket
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Any

    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.observed.parted import Parted
    from analyzer.traces.expired.model import Answer

    Row = dict[Hashable, Any]

LEAST_PAUSE_S = 5.0
"""Seconds of pause below which a packet met no expired entry."""


def ended_sooner(result: Measured, evidence: Evidence, run_resets: Parted) -> list[LatePacket]:
    """The packets that one director had no entry for, though its timers would have one.

    Args:
        result: what was measured of it.
        evidence: the recording, with a capture.
        run_resets: ``resets.resets``.
    """
    cases = [
        *_cases(result, _reset_by_director(result, run_resets), "client"),
        *_cases(result, _from_servers(result, evidence), "server"),
    ]
    return [
        case
        for case in cases
        if LEAST_PAUSE_S <= case.pause_s < case.timeout_s and case.answer in SURELY_ENDED
    ]


def _reset_by_director(result: Measured, run_resets: Parted) -> pd.DataFrame:
    """The clients' packets that went to this director, and that it reset itself."""
    rows = run_resets.where(
        lambda rows: (
            (rows["by"] == "director")
            & (rows["stage"] != "handshake")
            & (rows["pause_s"] >= LEAST_PAUSE_S)
        )
    )
    asked = pd.DataFrame({"flow": rows["flow"], "at_ns": rows["asked_ns"]}).assign(answer="reset")
    assert result.passage is not None
    if rows.empty:
        return asked
    # after a fail-over the rest goes to another director
    passed = result.passage.segments.of_flows(rows["flow"].to_numpy(dtype=np.int64))
    here = pd.DataFrame({"flow": passed.flow, "at_ns": passed.at_ns}).drop_duplicates()
    return _after_their_packets(result, asked.merge(here, on=["flow", "at_ns"]))


def _from_servers(result: Measured, evidence: Evidence) -> pd.DataFrame:
    """The real servers' packets that were not sent on as the VIP's, and came after a pause."""
    assert evidence.captured is not None
    alone = evidence.captured.rewriting.not_sent_on(evidence.captured.forwarder_macs)
    rows = _after_their_packets(result, alone[["flow", "at_ns"]])
    if rows.empty:
        return rows.assign(answer=pd.Series(dtype="object"))
    paused = rows["at_ns"] - rows["last_ns"] >= round(LEAST_PAUSE_S * NS_PER_S)
    rows = rows[paused].drop_duplicates("entry")
    answers = [
        answer_to_server(evidence, int(flow), np.array([at_ns], dtype=np.int64))
        for flow, at_ns in zip(rows["flow"], rows["at_ns"], strict=True)
    ]
    return rows.assign(answer=answers)


def _after_their_packets(result: Measured, rows: pd.DataFrame) -> pd.DataFrame:
    """Each packet with the last one before it that met an entry, and the state that led to."""
    assert result.prediction is not None
    if rows.empty:
        return rows
    steps = result.prediction.steps
    near = rows_of_flows(steps["flow"].to_numpy(), rows["flow"].to_numpy())
    steps = steps[["flow", "at_ns", "entry", "state"]].iloc[near]
    steps = steps.assign(last_ns=steps["at_ns"]).sort_values("at_ns", kind="stable")
    met = pd.merge_asof(
        rows.astype({"flow": "int64", "at_ns": "int64"}).sort_values("at_ns", kind="stable"),
        steps.astype({"flow": "int64", "at_ns": "int64"}),
        on="at_ns",
        by="flow",
        allow_exact_matches=False,
    )
    return met[met["entry"].notna()].astype({"last_ns": "int64"})


def _cases(result: Measured, rows: pd.DataFrame, by: str) -> list[LatePacket]:
    return [_case(result, row, by) for row in rows.to_dict("records")]


def _case(result: Measured, row: Row, by: str) -> LatePacket:
    state = State(int(row["state"]))
    pause_s = (int(row["at_ns"]) - int(row["last_ns"])) / NS_PER_S
    name, director = TIMEOUT_NAMES[state], result.director
    unread = director.timeouts is None or name in director.assumed_timeouts
    answer: Answer = row["answer"]
    return LatePacket(
        director=director.name,
        flow=int(row["flow"]),
        at_ns=int(row["at_ns"]),
        by="client" if by == "client" else "server",
        state=state.name,
        timeout_s=float(timeout_by_state_s(result.rules.timeouts)[state]),
        assumed=name != "fixed" and unread,
        pause_s=pause_s,
        late_s=(0.0, pause_s),
        packets=1,
        answer=answer,
        sooner=True,
    )
