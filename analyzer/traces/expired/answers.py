"""Answers to packets that came after their entry had expired, as far as captured."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.units import NS_PER_S
from analyzer.wire.rewriting import NO_PARTNER
from analyzer.wire.segments import SENT_ON_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.evidence.captures import Captured
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.traces.expired.model import Answer, LatePacket

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

ANSWER_NS = 3_000_000_000
"""Seconds within which an answer follows its packet."""


def answer_to_client(evidence: Evidence, flow: int, at_ns: Ints) -> Answer:
    """The captured answer to a client's late packets."""
    captured = evidence.captured
    assert captured is not None
    segments = captured.segments
    rows = slice(*np.searchsorted(segments.flow, [flow, flow + 1]))
    forth, when = segments.to_vip[rows], segments.at_ns[rows]
    leaves = np.isin(segments.source_mac[rows], list(captured.forwarder_macs))
    legs = _legs_of(evidence, flow)
    onward = legs.loc[legs["to_server"] & (legs["partner"] != NO_PARTNER), "at_ns"]
    sent_on = np.sort(np.concatenate([when[forth & leaves], onward.to_numpy(dtype=np.int64)]))
    if _follows(at_ns, sent_on, SENT_ON_NS):
        return "sent-on"
    is_reset = segments.flag[rows] == Flag.RST
    if _follows(at_ns, when[~forth & is_reset], ANSWER_NS):
        by_director = leaves | (evidence.forwarding not in ("dr", "tun"))
        return "reset" if by_director[~forth & is_reset].any() else "server-reset"
    if _follows(at_ns, when[~forth & ~is_reset], ANSWER_NS):
        return "reply"
    return _silence(captured, at_ns, shown=bool((~forth).any() or len(sent_on)))


def answer_to_server(evidence: Evidence, flow: int, at_ns: Ints) -> Answer:
    """The captured answer to a real server's late packets."""
    captured = evidence.captured
    assert captured is not None
    legs = _legs_of(evidence, flow)
    ours = legs[legs["partner"] == NO_PARTNER]
    back = ours[ours["to_server"] & (ours["flag"] == Flag.RST)]
    if _follows(at_ns, back["at_ns"].to_numpy(dtype=np.int64), ANSWER_NS):
        return "reset-to-server"
    passing = ~ours["to_server"] & ours["source_mac"].isin(list(captured.forwarder_macs))
    if _follows(at_ns, ours.loc[passing, "at_ns"].to_numpy(dtype=np.int64), SENT_ON_NS):
        return "untranslated"
    return _silence(captured, at_ns, shown=True)


def _follows(at_ns: Ints, answers_ns: Ints, within_ns: int) -> bool:
    """Whether any of the answers comes within a time of any of the packets, both ascending."""
    before = np.searchsorted(at_ns, answers_ns, side="right") - 1
    since_ns = answers_ns - at_ns[np.maximum(before, 0)]
    return bool(((before >= 0) & (since_ns <= within_ns)).any())


def _legs_of(evidence: Evidence, flow: int) -> pd.DataFrame:
    """The packets between client and real server of one flow."""
    assert evidence.captured is not None
    legs = evidence.captured.rewriting.legs
    return legs.iloc[slice(*np.searchsorted(legs["flow"].to_numpy(), [flow, flow + 1]))]


def _silence(captured: Captured, at_ns: Ints, *, shown: bool) -> Answer:
    """No answer; or none that the capture could have shown."""
    listened = captured.last_ns - int(at_ns[0]) >= NS_PER_S or len(at_ns) > 1
    return "none" if shown and listened else "unseen"


def moved(evidence: Evidence, flow: int, at_ns: int) -> bool | None:
    """Whether a flow's packets were sent on to another real server from an instant on."""
    captured = evidence.captured
    assert captured is not None
    legs = _legs_of(evidence, flow)
    ours = legs[legs["partner"] != NO_PARTNER]
    if len(ours):
        return _changed(ours["server"], ours["at_ns"].to_numpy() >= at_ns)
    segments = captured.segments
    rows = slice(*np.searchsorted(segments.flow, [flow, flow + 1]))
    back = ~segments.to_vip[rows]
    sender = pd.Series(segments.source_mac[rows][back])
    if evidence.forwarding not in ("dr", "tun"):
        return None
    return _changed(sender, segments.at_ns[rows][back] >= at_ns)


def _changed(sender: pd.Series, later: Bools) -> bool | None:
    before, after = sender[~later], sender[later]
    if before.empty or after.empty:
        return None
    return bool(before.iloc[-1] != after.iloc[0])


def longest_pause_s(
    result: Measured, evidence: Evidence, cases: Sequence[LatePacket]
) -> float | None:
    """The longest pause after which a packet of these connections was still answered, seconds."""
    if evidence.captured is None or result.prediction is None:
        return None
    segments, steps = evidence.captured.segments, result.prediction.steps
    longest = 0
    for flow in {case.flow for case in cases if case.by == "client"}:
        rows = slice(*np.searchsorted(segments.flow, [flow, flow + 1]))
        back = ~segments.to_vip[rows] & (segments.flag[rows] != Flag.RST)
        answers_ns = segments.at_ns[rows][back]
        met = slice(*np.searchsorted(steps["flow"].to_numpy(), [flow, flow + 1]))
        at_ns = steps["at_ns"].to_numpy(dtype=np.int64)[met]
        for before, after in pairwise(at_ns.tolist()):
            if after - before > longest and _follows(np.array([after]), answers_ns, ANSWER_NS):
                longest = int(after - before)
    return longest / NS_PER_S if longest else None
