"""The fate of single segments to a VIP: forwarded, answered, refused, retransmitted.

A director is the only way to the VIP, so an answer shows that it took the segment; in dr answers
do not come from it. An unanswered segment may have been lost behind the director too. A
director that passes no replies on, and sends a reset itself, had no entry for the segment: the VIP
is an address of its own, and its TCP answers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.parts import Rows, filled
from analyzer.wire.segments import SENT_ON_NS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analyzer.arrays import Bools, Ints
    from analyzer.wire.segments import Segments


_SEQUENCES = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The fate of segments to a VIP; every array has shape (n,).

    Attributes:
        taken: the director sent it on, or the SYN that it is was accepted.
        answered: the flow's next segment is a reply that says something new: whether to it is not
            sure. A server that repeats itself was not answered, and may not have heard either.
        refused: the capture shows what the director sends on, and not this.
        unanswered: a SYN that the flow's next segment does not answer, or a FIN that was sent again
            (what else comes with the same sequence number need not be a repetition).
        rejected: the director's own TCP answered it with a reset; and these resets.
    """

    taken: Bools
    answered: Bools
    refused: Bools
    unanswered: Bools
    rejected: Bools

    def only(self, rows: slice) -> Answers:
        """The fate of some of the segments."""
        return Answers(**{field.name: getattr(self, field.name)[rows] for field in fields(Answers)})


def answers(segments: Segments, passed: Bools, macs: Collection[int]) -> Answers:
    """The fate of the segments that passed a director, or were sent to it.

    Args:
        segments: all that was captured.
        passed: those that passed it, as ``segments.passed`` gives them; replies are never answered.
        macs: the director's.
    """
    known = list(macs)
    cut = segments.cuts() or [slice(0, 0)]
    shown = [
        _shown(part, passed[rows], known) for rows, part in zip(cut, segments.parts(), strict=True)
    ]
    has_copies, replies_pass = (any(facts) for facts in zip(*shown, strict=True))
    tasks = (
        (part, passed[rows], known, has_copies, replies_pass)
        for rows, part in zip(cut, segments.parts(), strict=True)
    )
    return Answers(**filled(segments.store, _rows_of, tasks))


def _rows_of(*task: Any) -> Rows[None]:
    made = _answers(*task)
    return Rows({field.name: getattr(made, field.name) for field in fields(Answers)}, None)


def _shown(segments: Segments, passed: Bools, macs: Sequence[int]) -> tuple[bool, bool]:
    """Whether a part shows what the director sends on, and replies but resets that leave it."""
    from_director = is_one_of(segments.source_mac, macs)
    replies = from_director & ~segments.to_vip & (segments.flag != Flag.RST)
    return bool((segments.to_vip & from_director & ~passed).any()), bool(replies.any())


def _answers(
    segments: Segments,
    passed: Bools,
    macs: Sequence[int],
    has_copies: bool,
    replies_pass: bool,
) -> Answers:
    """``answers`` of a part, where the whole capture shows copies and replies, or not."""
    from_director = is_one_of(segments.source_mac, macs)
    copies = segments.to_vip & from_director & ~passed
    sent_on = _sent_on(segments, passed & segments.to_vip, copies)
    rest = np.flatnonzero(~copies)  # each segment once
    follower = _followers(segments, rest)
    rows, forth = np.flatnonzero(passed), segments.to_vip[passed]
    after = follower[rows]
    has_after = after >= 0
    is_reply = has_after & ~segments.to_vip[after]
    is_syn = segments.flag[rows] == Flag.SYN
    again = is_one_of(segments.flag[rows], (Flag.SYN, Flag.FIN)) & has_after & ~is_reply
    again &= segments.flag[after] == segments.flag[rows]
    again &= segments.sequence[after] == segments.sequence[rows]
    is_reset = segments.flag == Flag.RST
    # its TCP's only where nothing else from the VIP leaves it
    director_resets = is_reset & from_director & ~segments.to_vip & (not replies_pass)
    rejected = is_reply & director_resets[after]
    is_new = _not_repeated(segments, rest)
    by_director = is_reply & is_new[after] & from_director[after] & ~is_reset[after]
    syn_answered = is_syn & is_reply & (segments.flag[after] == Flag.SYN)
    taken = forth & (sent_on[rows] | by_director | syn_answered)
    return Answers(
        taken=taken,
        answered=forth & is_reply & is_new[after] & ~rejected,
        refused=forth & ~taken & has_copies,
        unanswered=forth & ~taken & ((is_syn & ~is_reply) | again),
        rejected=(forth & rejected) | director_resets[rows],
    )


def _not_repeated(segments: Segments, rest: Ints) -> Bools:
    """Which segments do not repeat their flow's previous reply; shape (segments,)."""
    is_new = np.ones(len(segments.flow), dtype=bool)
    replies = rest[~segments.to_vip[rest]]
    before, after = replies[:-1], replies[1:]
    ahead = segments.sequence[after].astype(np.int64) - segments.sequence[before].astype(np.int64)
    repeats = (ahead % _SEQUENCES == 0) | (ahead % _SEQUENCES >= _SEQUENCES // 2)
    repeats &= segments.flow[after] == segments.flow[before]
    repeats &= ~is_one_of(segments.flag[after], (Flag.RST, Flag.DATAGRAM))
    is_new[after[repeats]] = False
    return is_new


def _followers(segments: Segments, rows: Ints) -> Ints:
    """The next of these rows in the same flow, -1 after the last; shape (segments,)."""
    followers = np.full(len(segments.flow), -1, dtype=np.int64)
    same = segments.flow[rows[1:]] == segments.flow[rows[:-1]]
    followers[rows[:-1][same]] = rows[1:][same]
    return followers


def _sent_on(segments: Segments, arriving: Bools, copies: Bools) -> Bools:
    """Which segments the director forwarded, by the copies it sent."""
    sent_on = np.zeros(len(arriving), dtype=bool)
    if not copies.any():
        return sent_on
    matches = pd.merge_asof(
        _keyed(segments, arriving),
        _keyed(segments, copies)[["flow", "flag", "sequence", "at_ns"]].assign(copied=True),
        on="at_ns",
        by=["flow", "flag", "sequence"],
        direction="forward",
        tolerance=SENT_ON_NS,
    )
    sent_on[matches["row"][matches["copied"].notna()]] = True
    return sent_on


def _keyed(segments: Segments, chosen: Bools) -> pd.DataFrame:
    rows = np.flatnonzero(chosen)
    columns = {
        "row": rows,
        "flow": segments.flow[rows].astype(np.int64),
        "flag": segments.flag[rows].astype(np.int64),
        "sequence": segments.sequence[rows].astype(np.int64),
        "at_ns": segments.at_ns[rows],
    }
    return pd.DataFrame(columns).sort_values("at_ns", kind="stable")
