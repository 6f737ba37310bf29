"""Why requests failed, part by part: a number for each reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from analyzer.client.failures import KINDS, FailureKind, Stage, kind_of_text
from analyzer.observed.entries import ns
from analyzer.recording.connections import is_reused

if TYPE_CHECKING:
    from collections.abc import Mapping

    Reason = tuple[FailureKind, Stage, int | None]
    """The kind, how far the request came, and HTTP's status where that is why."""

_ANSWERED = frozenset({"too-many-redirects", "bad-redirect", "not-http", "unreadable"})
_AFTER_THE_ANSWER = ("timeout", "reset", "interrupted")


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last of some instants, Unix ns."""

    first_ns: int
    last_ns: int

    def __or__(self, other: Span) -> Span:
        return Span(min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns))


def span_of(instants: pd.Series) -> Span | None:
    """The span of the known ones of some instants; None without any."""
    known = ns(instants.dropna())
    return Span(int(known.min()), int(known.max())) if len(known) else None


def both(one: Span | None, other: Span | None) -> Span | None:
    """The span of two, either of which may be unknown."""
    return one | other if one and other else one or other


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """How many requests failed for a reason; when the first and the last were begun, if known."""

    n: int
    begun: Span | None

    def __add__(self, other: Failed) -> Failed:
        return Failed(n=self.n + other.n, begun=both(self.begun, other.begun))


def summed(one: Mapping[Reason, Failed], other: Mapping[Reason, Failed]) -> Mapping[Reason, Failed]:
    """The reasons of both."""
    shared = {reason: one[reason] + other[reason] for reason in other if reason in one}
    return {**one, **other, **shared}


def reasons_of(bad: pd.DataFrame) -> dict[Reason, Failed]:
    """Why each of some requests failed.

    Args:
        bad: of ``outcomes.outcome_rows``, those that failed.
    """
    kinds = _kinds(bad)
    status = bad["status"].where(kinds.str.startswith("http-"))
    reasons = [kinds, _stages(bad, kinds), status]
    groups = bad.groupby(reasons, dropna=False, sort=False)["begun"].agg(["size", "min", "max"])
    return {
        _reason(kind, stage, status): Failed(n=int(n), begun=_between(first, last))
        for (kind, stage, status), n, first, last in groups.itertuples()
    }


def _reason(kind: str, stage: str, status: Any) -> Reason:
    number = None if pd.isna(status) else int(status)
    return cast("FailureKind", kind), cast("Stage", stage), number


def _between(first: pd.Timestamp, last: pd.Timestamp) -> Span | None:
    return None if pd.isna(first) else Span(int(first.value), int(last.value))


def _kinds(bad: pd.DataFrame) -> pd.Series:
    """The kind of each failure: as recorded, else by its text."""
    codes, texts = pd.factorize(bad["error"], use_na_sentinel=False)
    known = ["unfinished" if pd.isna(text) else kind_of_text(str(text)) for text in texts]
    kinds = pd.Series(np.array(known, dtype=object)[codes], index=bad.index, dtype=object)
    return bad["failure"].astype(object).where(bad["failure"].isin(KINDS), kinds)


def _stages(bad: pd.DataFrame, kinds: pd.Series) -> pd.Series:
    """How far each request came before it failed."""
    connected, ended = bad["connected"].notna() | is_reused(bad), bad["ended"].notna()
    answered = kinds.str.startswith("http-") | kinds.isin(_ANSWERED)
    stages = np.select(
        [
            answered,
            ~connected & (kinds == "tls"),
            ~connected,
            ended & kinds.isin(_AFTER_THE_ANSWER),
        ],
        ["answer", "tls", "connect", "close"],
        "answer",
    )
    return pd.Series(stages, index=bad.index)
