"""Requests of a run: sent, answered, failed, and their latencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from analyzer.client.failures import KINDS, TITLES, FailureKind, Stage, kind_of_text
from analyzer.client.results import Latency, RequestErrors, Requests
from analyzer.observed.entries import span_ms
from analyzer.recording.connections import is_reused
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

LATE_S = 0.5
INTERRUPTED = "interrupted"
"""The error of a request that was under way when its run was interrupted."""
MOST_ERRORS = 50
"""The most reasons that are listed separately; a run has few."""

REDIRECTS = (301, 302, 303, 307, 308)
_ANSWERED = frozenset({"too-many-redirects", "bad-redirect", "not-http", "unreadable"})
_AFTER_THE_ANSWER = ("timeout", "reset", "interrupted")


def outcomes(requests: pd.DataFrame) -> pd.DataFrame:
    """One row for each request of the plan: its last connection, redirects left out.

    Args:
        requests: a recording's table, a row for each request that was sent: one that was answered
            with a redirect that was followed has the ``id`` of the next.

    Returns:
        The rows with the outcome of each request, with ``begun``: when the first connection
        of each was begun; ``scheduled`` is when that was due.
    """
    numbered = requests["id"].notna()
    if not (numbered & requests["id"].duplicated()).any():
        return requests.assign(begun=requests["started"])
    ordered = requests.sort_values(["id", "started"], kind="stable", na_position="last")
    continues = ordered["id"].notna() & ordered["id"].duplicated(keep="last")
    redirected = ordered["status"].isin(REDIRECTS) & ordered["error"].isna()
    hop = (continues & ((ordered["followed"] == 1).fillna(value=False) | redirected)).to_numpy(bool)
    first = ordered[~np.r_[False, hop[:-1]]]
    last = ordered[~hop]
    return last.assign(scheduled=first["scheduled"].array, begun=first["started"].array)


def has_failed(outcome_rows: pd.DataFrame) -> Bools:
    """Which of some outcomes are failures; one that was on its way to a redirect is none yet."""
    on_its_way = (outcome_rows["followed"] == 1).fillna(value=False)
    return (outcome_rows["error"].notna() | outcome_rows["ended"].isna() | on_its_way).to_numpy(
        dtype=bool
    )


def summarise(requests: pd.DataFrame, zero_ns: int = 0) -> Requests:
    """The counts, the rate achieved, the latencies and the errors of a ``requests`` table.

    Args:
        requests: a recording's.
        zero_ns: the run's start, Unix time.
    """
    outcome_rows = outcomes(requests)
    failed = has_failed(outcome_rows)
    duration_s = _duration_s(outcome_rows)
    sent = int(outcome_rows["started"].notna().sum())
    done = outcome_rows[~failed]
    opened = outcome_rows[~is_reused(outcome_rows)]
    return Requests(
        sent=sent,
        succeeded=int((~failed).sum()),
        failed=int((failed & outcome_rows["started"].notna()).sum()),
        late=int((span_ms(outcome_rows, "scheduled", "first_byte") > LATE_S * 1e3).sum()),
        duration_s=duration_s,
        rate_per_s=sent / duration_s if duration_s else None,
        connect_ms=latency(span_ms(outcome_rows, "started", "connected")),
        first_byte_ms=latency(span_ms(outcome_rows, "started", "first_byte")),
        total_ms=latency(span_ms(done, "begun", "ended")),
        total_from_due_ms=latency(span_ms(done, "scheduled", "ended")),
        lateness_ms=latency(span_ms(opened, "scheduled", "begun")),
        errors=errors(outcome_rows, zero_ns),
        connections=int((requests["started"].notna() & ~is_reused(requests)).sum()),
    )


def cut_short(requests: pd.DataFrame) -> int:
    """How many requests the end of the run itself cut off."""
    return int((requests["error"] == INTERRUPTED).sum())


def errors(outcome_rows: pd.DataFrame, zero_ns: int) -> tuple[RequestErrors, ...]:
    """Why requests failed, the commonest reason first.

    Args:
        outcome_rows: ``outcomes``.
        zero_ns: the run's start, Unix time.
    """
    bad = outcome_rows[has_failed(outcome_rows) & outcome_rows["started"].notna().to_numpy()]
    kinds = _kinds(bad)
    status = bad["status"].where(kinds.str.startswith("http-"))
    reasons = [kinds, _stages(bad, kinds), status]
    groups = bad.groupby(reasons, dropna=False, sort=False)["begun"].agg(["size", "min", "max"])
    rows = [
        RequestErrors(
            kind=cast("FailureKind", kind),
            stage=cast("Stage", stage),
            status=None if pd.isna(status) else int(status),
            n=int(n),
            what=TITLES[cast("FailureKind", kind)],
            first_s=_seconds(first, zero_ns),
            last_s=_seconds(last, zero_ns),
        )
        for (kind, stage, status), n, first, last in groups.itertuples()
    ]
    rows.sort(key=lambda row: (-row.n, KINDS.index(row.kind), row.stage, row.status or 0))
    return tuple(rows[:MOST_ERRORS])


def _kinds(bad: pd.DataFrame) -> pd.Series:
    """The kind of each failure: as recorded, else by its text."""
    codes, texts = pd.factorize(bad["error"], use_na_sentinel=False)
    known = ["unfinished" if pd.isna(text) else kind_of_text(str(text)) for text in texts]
    kinds = pd.Series(np.array(known, dtype=object)[codes], index=bad.index, dtype=object)
    return bad["failure"].astype(object).where(bad["failure"].isin(KINDS), kinds)


def _stages(bad: pd.DataFrame, kinds: pd.Series) -> pd.Series:
    """How far each request came before it failed."""
    connected, ended = bad["connected"].notna() | is_reused(bad), bad["ended"].notna()
    outcome_rows = kinds.str.startswith("http-") | kinds.isin(_ANSWERED)
    stages = np.select(
        [
            outcome_rows,
            ~connected & (kinds == "tls"),
            ~connected,
            ended & kinds.isin(_AFTER_THE_ANSWER),
        ],
        ["answer", "tls", "connect", "close"],
        "answer",
    )
    return pd.Series(stages, index=bad.index)


def _seconds(at: pd.Timestamp, zero_ns: int) -> float | None:
    return None if pd.isna(at) else (int(at.value) - zero_ns) / NS_PER_S


def latency(values_ms: Floats) -> Latency | None:
    """Percentiles over the values that are there; None if none is."""
    known = values_ms[~np.isnan(values_ms)]
    if len(known) == 0:
        return None
    p50, p90, p99 = np.percentile(known, [50, 90, 99], method="higher")
    return Latency(p50=float(p50), p90=float(p90), p99=float(p99), max=float(known.max()))


def _duration_s(outcome_rows: pd.DataFrame) -> float | None:
    """Seconds from the first send to the last end or, failing that, the last send."""
    if outcome_rows["started"].notna().sum() == 0:
        return None
    last = outcome_rows[["started", "ended"]].max().max()
    return float((last - outcome_rows["begun"].min()).total_seconds())
