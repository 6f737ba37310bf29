"""What became of each request of the plan, part by part: counts, reasons, spans, sorted runs.

Counts and latencies are made of this. What else reads the rows does so part by part, but for a
fail-over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.charts.ordered import Ordered
from analyzer.client.failure_texts import INTERRUPTED
from analyzer.client.reasons import Failed, Span, both, reasons_of, span_of, summed
from analyzer.observed.entries import ns, span_ms
from analyzer.parts import Rows
from analyzer.recording.connections import is_reused
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.arrays import Bools, Floats
    from analyzer.client.reasons import Reason
    from analyzer.parts import Columns
    from analyzer.recording.requests import RequestRows

    Place = tuple[str, int]
    """A VIP and port."""

LATE_S = 0.5
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests of a part, or of one target in it.

    Attributes:
        sent: begun.
        succeeded, failed: of these; ``failed`` was begun.
        connections: begun for them, those of redirects among them.
    """

    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    connections: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            sent=self.sent + other.sent,
            succeeded=self.succeeded + other.succeeded,
            failed=self.failed + other.failed,
            connections=self.connections + other.connections,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What adds up over parts.

    Attributes:
        late: answered more than ``LATE_S`` after they were due.
        cut_short: the end of the run itself cut them off.
        begun: when requests were begun.
        seen: from the first to the last instant of a send or an end.
        by_target: in the order of the targets.
    """

    counts: Counts = field(default_factory=Counts)
    late: int = 0
    cut_short: int = 0
    begun: Span | None = None
    seen: Span | None = None
    failures: Mapping[Reason, Failed] = field(default_factory=dict)
    by_target: tuple[Counts, ...] = ()

    def __add__(self, other: Sums) -> Sums:
        pairs = zip(self.by_target, other.by_target, strict=True)
        return Sums(
            counts=self.counts + other.counts,
            late=self.late + other.late,
            cut_short=self.cut_short + other.cut_short,
            begun=both(self.begun, other.begun),
            seen=both(self.seen, other.seen),
            failures=summed(self.failures, other.failures),
            by_target=tuple(one + more for one, more in pairs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """All requests of the plan, in the order of their ids; arrays have shape (requests,).

    Attributes:
        ended_s: seconds since the run's start; NaN where a request never ended.
        failed: which did.
        connect_ms, first_byte_ms: of its last connection; NaN where not reached.
        total_ms: from the first send to the last answer, also of what failed then.
        sent_s: seconds since the run's start, of those without an error; else NaN.
        connects, first_bytes, totals: the known ones of these arrays.
        answered: the totals of requests that succeeded; ``answered_due`` from when they were due.
        done, done_due: the same of all without an error: a redirect that was to be followed has
            none.
        lateness: begun after they were due, those that went on on a connection left out.
        answered_by_target: as ``answered``, in the order of the targets.
    """

    sums: Sums
    ended_s: Floats
    failed: Bools
    connect_ms: Floats
    first_byte_ms: Floats
    total_ms: Floats
    sent_s: Floats
    connects: Ordered
    first_bytes: Ordered
    totals: Ordered
    answered: Ordered
    answered_due: Ordered
    done: Ordered
    done_due: Ordered
    lateness: Ordered
    answered_by_target: tuple[Ordered, ...] = ()


def outcomes_of(rows: RequestRows, zero_ns: int = 0, targets: Sequence[Place] = ()) -> Outcomes:
    """What became of the requests of a recording.

    Args:
        rows: the recording's.
        zero_ns: the run's start, Unix time.
        targets: those to be counted by themselves.
    """
    writer = rows.store.columns()
    tasks = ((part, zero_ns, tuple(targets)) for part in rows.parts())
    parts = list(rows.store.fill(writer, _of_part, tasks))
    columns, runs = writer.finish(), _Runs(parts)
    by_target = range(len(targets))
    return Outcomes(
        sums=reduce(Sums.__add__, (part.sums for part in parts)),
        **{name: columns[name] for name in _ARRAYS},
        connects=runs.of(columns, "connect"),
        first_bytes=runs.of(columns, "first_byte"),
        totals=runs.of(columns, "total"),
        answered=runs.of(columns, "total", [_ANSWERED_RUN]),
        answered_due=runs.of(columns, "due", [_ANSWERED_RUN]),
        done=runs.of(columns, "total", _DONE_RUNS),
        done_due=runs.of(columns, "due", _DONE_RUNS),
        lateness=runs.of(columns, "late"),
        answered_by_target=tuple(runs.of(columns, "target", [number]) for number in by_target),
    )


_ARRAYS = ("ended_s", "failed", "connect_ms", "first_byte_ms", "total_ms", "sent_s")
_ANSWERED_RUN, _DONE_RUNS = 0, (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What else one part came to.

    Attributes:
        rows: requests of this part.
        runs: the lengths of the sorted runs that each column begins with; the rest of it is NaN.
    """

    sums: Sums
    rows: int
    runs: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Runs:
    """Where the sorted runs of all parts lie in their columns."""

    parts: Sequence[_Part]

    def of(self, columns: Columns, name: str, chosen: Iterable[int] | None = None) -> Ordered:
        """The values of a column; of the runs of these numbers in each part, or all."""
        wanted = None if chosen is None else frozenset(chosen)
        return Ordered.of_runs(
            columns[name][rows]
            for number, rows in self._places(name)
            if wanted is None or number in wanted
        )

    def _places(self, name: str) -> Iterable[tuple[int, slice]]:
        start = 0
        for part in self.parts:
            at = start
            for number, length in enumerate(part.runs[name]):
                yield number, slice(at, at + length)
                at += length
            start += part.rows


def _of_part(part: RequestRows, zero_ns: int, targets: Sequence[Place]) -> Rows[_Part]:
    requests = part.frame()
    ended = outcome_rows(requests)
    failed = has_failed(ended)
    has_error = ended["error"].notna().to_numpy(dtype=bool)
    total_ms, due_ms = span_ms(ended, "begun", "ended"), span_ms(ended, "scheduled", "ended")
    connect_ms = span_ms(ended, "started", "connected")
    first_byte_ms = span_ms(ended, "started", "first_byte")
    groups = (~failed, failed & ~has_error, has_error)
    here = [_is_at(ended, place) for place in targets]
    sorted_runs = {
        "connect": [connect_ms],
        "first_byte": [first_byte_ms],
        "total": [total_ms[group] for group in groups],
        "due": [due_ms[group] for group in groups[:2]],
        "late": [span_ms(ended, "scheduled", "begun")[~is_reused(ended)]],
        **({"target": [total_ms[rows & ~failed] for rows in here]} if targets else {}),
    }
    runs = {name: [_in_order(values) for values in each] for name, each in sorted_runs.items()}
    return Rows(
        {
            "ended_s": _seconds(ended["ended"], zero_ns),
            "failed": failed,
            "connect_ms": connect_ms,
            "first_byte_ms": first_byte_ms,
            "total_ms": total_ms,
            "sent_s": np.where(has_error, np.nan, _seconds(ended["begun"], zero_ns)),
            **{name: _filled(each, len(ended)) for name, each in runs.items()},
        },
        _Part(
            sums=_sums(requests, ended, failed, [*zip(targets, here, strict=True)]),
            rows=len(ended),
            runs={name: tuple(map(len, each)) for name, each in runs.items()},
        ),
    )


def _seconds(instants: pd.Series, zero_ns: int) -> Floats:
    """Seconds since the run's start; NaN for what was not reached."""
    known = instants.notna().to_numpy()
    return np.where(known, (ns(instants) - zero_ns) / NS_PER_S, np.nan)


def _in_order(values: Floats) -> Floats:
    return np.sort(values[np.isfinite(values)])


def _filled(runs: Sequence[Floats], rows: int) -> Floats:
    left = rows - sum(map(len, runs))
    return np.concatenate([*runs, np.full(left, np.nan)])


def outcome_rows(requests: pd.DataFrame) -> pd.DataFrame:
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


def has_failed(ended: pd.DataFrame) -> Bools:
    """Which of some outcomes are failures; one that was on its way to a redirect is none yet."""
    on_its_way = (ended["followed"] == 1).fillna(value=False)
    return (ended["error"].notna() | ended["ended"].isna() | on_its_way).to_numpy(dtype=bool)


def _sums(
    requests: pd.DataFrame,
    ended: pd.DataFrame,
    failed: Bools,
    targets: Sequence[tuple[Place, Bools]],
) -> Sums:
    """What a part adds; ``targets`` with which of ``ended`` are theirs."""
    started = ended["started"].notna().to_numpy(dtype=bool)
    opened = requests["started"].notna().to_numpy(dtype=bool) & ~is_reused(requests)
    sends_and_ends = pd.concat([ended["started"], ended["ended"]])
    return Sums(
        counts=_counts(started, failed, opened),
        late=int((span_ms(ended, "scheduled", "first_byte") > LATE_S * 1e3).sum()),
        cut_short=int((ended["error"] == INTERRUPTED).sum()),
        begun=span_of(ended["begun"]),
        seen=span_of(sends_and_ends),
        failures=reasons_of(ended[failed & started]),
        by_target=tuple(
            _counts(started[here], failed[here], opened[_is_at(requests, place)])
            for place, here in targets
        ),
    )


def _counts(started: Bools, failed: Bools, opened: Bools) -> Counts:
    return Counts(
        sent=int(started.sum()),
        succeeded=int((~failed).sum()),
        failed=int((failed & started).sum()),
        connections=int(opened.sum()),
    )


def _is_at(requests: pd.DataFrame, place: Place) -> Bools:
    vip, port = place
    here = (requests["vip"] == vip) & (requests["port"] == port)
    return here.fillna(value=False).to_numpy(dtype=bool)
