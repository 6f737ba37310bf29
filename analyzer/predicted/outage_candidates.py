"""Candidate outages of a director: by events, by polls that failed, by a VIP that it lost."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed.absences import COMMAND_NS
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from analyzer.evidence.evidence import Evidence
    from analyzer.recording.clock import DirectorClock

    Ints = npt.NDArray[np.int64]

ENDS_WITH = {"crash": "boot", "link-down": "link-up", "unplug": "replug"}
"""Events that cut a director off, each with the one that ends it."""

LONG_GAP_NS = 3_000_000_000
"""Polls that failed for at least so long may be an outage, even if no link was lost."""

_USUAL_GAPS = 5
_LOGGED_NS = 1_000_000_000
_VIP_LOST = {"keepalived-stop": 0, "vip-lost": 12_000_000_000}
"""Events that report it, and how late: addresses are read every ten seconds."""
_GIVES_UP = re.compile(r"Entering (?:BACKUP|FAULT) STATE|sent 0 priority")
_TOOK = re.compile(r"done in (\d{1,9}) ms")
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A possible outage: it began and ended between these; Unix ns.

    ``without_vip`` where nothing but the VIP may have gone.
    """

    began: tuple[int, int]
    ended: tuple[int, int]
    kernel_lost: bool
    without_vip: bool = False


def candidates(
    director: str, evidence: Evidence, clock: DirectorClock
) -> tuple[list[Candidate], list[Candidate]]:
    """Outages that were ordered, and other times that may hold some."""
    polls = _polls(evidence.by_director[director].polls)
    ordered = list(_ordered(evidence.events, director, polls))
    others = (
        *_gaps(evidence.events, director, clock, polls),
        *_without_vip(evidence.events, director),
    )
    return ordered, [
        candidate
        for candidate in others
        if not any(_overlap(candidate, order) for order in ordered)
    ]


def _polls(rows: pd.DataFrame) -> tuple[Ints, Ints]:
    """When a director was polled, ascending, and when it had answered."""
    asked_ns = ns(rows["asked"].fillna(rows["at"]))
    took_ns = np.nan_to_num(rows["took_ms"].to_numpy(dtype=np.float64)) * NS_PER_MS
    order = np.argsort(asked_ns, kind="stable")
    return asked_ns[order], (asked_ns + np.rint(took_ns).astype(np.int64))[order]


def _ordered(events: pd.DataFrame, director: str, polls: tuple[Ints, Ints]) -> Iterator[Candidate]:
    """The outages that events name."""
    rows = events[events["host"] == director]
    open_since: dict[str, tuple[int, int]] = {}
    for at_ns, kind, detail in zip(ns(rows["at"]), rows["kind"], rows["detail"], strict=True):
        took = _TOOK.search(str(detail))
        span = (int(at_ns), int(at_ns) + (int(took[1]) * NS_PER_MS if took else COMMAND_NS))
        if kind in ENDS_WITH:
            open_since.setdefault(kind, span)
        for begins, ends in ENDS_WITH.items():
            if kind == ends and begins in open_since:
                began = open_since.pop(begins)
                back_ns = first_from(polls[0], span[1], _NEVER)
                yield _candidate(began, (span[0], back_ns), begins)
    for begins, began in open_since.items():
        # a link may be down while polls go another way; a kernel that crashed answers none
        back_ns = first_from(polls[0], began[1], _NEVER) if begins == "crash" else _NEVER
        yield _candidate(began, (began[1], back_ns), begins)


def _candidate(began: tuple[int, int], ended: tuple[int, int], kind: str) -> Candidate:
    return Candidate(began=began, ended=ended, kernel_lost=kind == "crash")


def _gaps(
    events: pd.DataFrame, director: str, clock: DirectorClock, polls: tuple[Ints, Ints]
) -> Iterator[Candidate]:
    """Times without an answered poll that were longer than usual, or in which the link was lost."""
    asked_ns, answered_ns = polls
    if len(asked_ns) < 2:
        return
    rows = events[(events["host"] == director) & (events["kind"] == "link-lost")]
    lost_ns = ns(rows["at"])
    spans = [*pairwise(zip(asked_ns.tolist(), answered_ns.tolist(), strict=True))]
    usual_ns = float(np.median(np.diff(asked_ns)))
    for (_, since_ns), (until_ns, _) in spans:
        is_lost = bool(((lost_ns > since_ns) & (lost_ns < until_ns)).any())
        is_long = until_ns - since_ns > max(LONG_GAP_NS, _USUAL_GAPS * usual_ns)
        booted = clock.began_ns[(clock.began_ns > since_ns) & (clock.began_ns <= until_ns)]
        if is_lost or is_long or len(booted):
            began = (since_ns, int(booted[0]) if len(booted) else until_ns)
            yield Candidate(
                began=began,
                ended=(began[1] if len(booted) else since_ns, until_ns),
                kernel_lost=bool(len(booted)),
            )
    if (lost_ns > answered_ns[-1]).any():
        yield _gap(int(answered_ns[-1]), _NEVER)


def _without_vip(events: pd.DataFrame, director: str) -> Iterator[Candidate]:
    """When it may have been without the VIP, so that its IPVS never saw what was sent to it."""
    rows = events[events["host"] == director]
    since_ns: int | None = None
    for at_ns, kind, detail in zip(ns(rows["at"]), rows["kind"], rows["detail"], strict=True):
        text = str(detail)
        if kind == "vip-gained" or (kind == "keepalived" and "Entering MASTER STATE" in text):
            if since_ns is not None:
                yield replace(_gap(since_ns, int(at_ns)), without_vip=True)
            since_ns = None
        elif kind in _VIP_LOST or (kind == "keepalived" and _GIVES_UP.search(text)):
            noticed_ns = int(at_ns) - _VIP_LOST.get(kind, _LOGGED_NS)
            since_ns = noticed_ns if since_ns is None else min(since_ns, noticed_ns)
    if since_ns is not None:
        yield replace(_gap(since_ns, _NEVER), without_vip=True)


def _gap(since_ns: int, until_ns: int) -> Candidate:
    span = (since_ns, until_ns)
    return Candidate(began=span, ended=span, kernel_lost=False)


def _overlap(candidate: Candidate, other: Candidate) -> bool:
    return candidate.began[0] < other.ended[1] and other.began[0] < candidate.ended[1]


def first_from(at_ns: Ints, from_ns: int, otherwise: int) -> int:
    """The first of ascending instants from one on."""
    here = np.searchsorted(at_ns, from_ns)
    return int(at_ns[here]) if here < len(at_ns) else otherwise


def last_until(at_ns: Ints, until_ns: int, otherwise: int) -> int:
    """The last of ascending instants up to one."""
    here = np.searchsorted(at_ns, until_ns, side="right")
    return int(at_ns[here - 1]) if here else otherwise
