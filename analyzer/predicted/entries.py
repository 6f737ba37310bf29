"""Entries of a director as predicted from packets: state, timeout, expiry and its cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.conntrack.states import CtState
from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.ipvs.states import State
from analyzer.parts import IN_MEMORY, Rows, frames_of, over_stretches
from analyzer.parts.columns import code_type, codes_of, columns_of, named, table_of, with_columns
from analyzer.predicted.replay import handling, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from analyzer.parts import Store
    from analyzer.predicted.replay import Beliefs, DirectorRules, Handling
    from analyzer.recording.clock import DirectorClock
    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]
    Int8s = npt.NDArray[np.int8]
    Bools = npt.NDArray[np.bool_]

TIMER, PORT_REUSE = "timer", "port-reuse"
NO_SEGMENT = -1
AS_PREDICTED = -1
"""In place of an instant: an entry ends when it was predicted to."""

EXPIRE_NODEST, DROP_ENTRY, FLUSH = "expire-nodest-conn", "drop-entry", "flush"
REFUSED = "refused"
"""conntrack deletes an entry whose only answer was a reset."""
PORT_TAKEN = "port-taken"
"""conntrack deletes an entry whose port another connection needs (``predicted.evictions``)."""

CAUSES = (TIMER, PORT_REUSE, EXPIRE_NODEST, DROP_ENTRY, FLUSH, REFUSED, PORT_TAKEN)
"""Why an entry goes: the categories of ``cause``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The predicted entries of one director.

    Attributes:
        entries: one row per entry: ``flow`` (as in Segments), ``first_ns, last_ns`` (its first
            and last packet), ``state`` (the last, a State), ``timeout_s``, ``ends_ns`` (when it
            goes), ``cause`` (its timer, or something earlier); index 0, 1, ...
        steps: one row per packet that belongs to an entry: ``entry, flow, at_ns, state``.
        dropped_syns: SYNs that the director dropped for the sake of an old conntrack entry.
        store: what keeps the columns of the steps.
        outside: of a netfilter director, the client's packets outside of their windows that moved
            no entry: ``flow, at_ns``, and ``invalid`` (so it was not translated); None of IPVS.
    """

    director: str
    entries: pd.DataFrame
    steps: pd.DataFrame
    dropped_syns: int
    store: Store = IN_MEMORY
    outside: pd.DataFrame | None = None

    def parts(self) -> Iterator[pd.DataFrame]:
        """The steps part by part: of whole flows, and so of whole entries; at least one part."""
        return frames_of(self.store, self.steps)

    def entry_parts(self) -> Iterator[pd.DataFrame]:
        """The entries part by part, of whole flows; at least one part."""
        return frames_of(self.store, self.entries)


def predict(
    segments: Segments,
    clock: DirectorClock,
    rules: DirectorRules,
    director: str,
    handled: Handling | None = None,
) -> Prediction:
    """Replay the segments that passed one director.

    Args:
        segments: that passed it (``segments.passed``).
        clock: of that director.
        rules: of that director.
        director: its name.
        handled: what else it did with single segments.
    """
    return predicted_by_parts(
        segments, partial(_predict, clock=clock, rules=rules, director=director), handled
    )


def _predict(
    segments: Segments,
    handled: Handling,
    *,
    clock: DirectorClock,
    rules: DirectorRules,
    director: str,
) -> Prediction:
    beliefs = replay(segments, clock.uptime_s(segments.at_ns), rules, handled)
    return prediction_of(segments, beliefs, clock, director, handled)


def predicted_by_parts(
    segments: Segments,
    predict_part: Callable[[Segments, Handling], Prediction],
    handled: Handling | None,
) -> Prediction:
    """The prediction of all segments, from that of each part by itself.

    Args:
        segments: that passed one director.
        predict_part: a picklable function.
        handled: what else it did with single segments.
    """
    handled, store = handled or handling(len(segments.flow)), segments.store
    cut = segments.cuts() or [slice(0, 0)]
    tasks = ((part, handled.only(rows)) for rows, part in zip(cut, segments.parts(), strict=True))
    writer, entries, dropped_syns = store.columns(), store.columns(), 0
    outside, is_judged = store.columns(), False
    for made in store.fill(writer, partial(_steps_apart, predict_part), tasks):
        entries.append(columns_of(made.entries))
        dropped_syns += made.dropped_syns
        if made.outside is not None:
            is_judged = True
            outside.append({str(name): made.outside[name].to_numpy() for name in made.outside})
    return replace(
        made,
        entries=table_of(entries.finish(), made.entries),
        steps=pd.DataFrame(writer.finish(), copy=False),
        dropped_syns=dropped_syns,
        store=store,
        outside=pd.DataFrame(outside.finish(), copy=False) if is_judged else None,
    )


def _steps_apart(
    predict_part: Callable[[Segments, Handling], Prediction], segments: Segments, handled: Handling
) -> Rows[Prediction]:
    """The prediction of a part, and its steps as columns."""
    made = predict_part(segments, handled)
    steps = {str(name): made.steps[name].to_numpy() for name in made.steps}
    return Rows(steps, replace(made, steps=made.steps[:0]), "entry", len(made.entries))


def prediction_of(
    segments: Segments,
    beliefs: Beliefs,
    clock: DirectorClock,
    director: str,
    handled: Handling,
) -> Prediction:
    """The entries of a replay.

    Args:
        segments: that passed the director.
        beliefs: after each of them.
        clock: of the director.
        director: its name.
        handled: as for ``predict``.
    """
    counted = _counted(beliefs)
    steps = pd.DataFrame(
        {
            "entry": beliefs.entry[counted],
            "flow": segments.flow[counted],
            "at_ns": segments.at_ns[counted],
            "state": beliefs.state[counted],
        }
    )
    return Prediction(
        director=director,
        entries=_entries(segments, beliefs, clock, handled),
        steps=steps,
        dropped_syns=int((beliefs.dropped & beliefs.reused).sum()),
    )


def first_and_last(beliefs: Beliefs) -> tuple[Ints, Ints]:
    """The first and the last segment of each entry that counted, in the order of entries."""
    rows = np.flatnonzero(_counted(beliefs))
    if not len(rows):
        return rows, rows
    changes = np.flatnonzero(np.diff(beliefs.entry[rows]))
    return rows[np.r_[0, changes + 1]], rows[np.r_[changes, len(rows) - 1]]


def _counted(beliefs: Beliefs) -> Bools:
    return np.asarray((beliefs.entry != NO_ENTRY) & ~beliefs.dropped)


def _entries(
    segments: Segments, beliefs: Beliefs, clock: DirectorClock, handled: Handling
) -> pd.DataFrame:
    first, last = first_and_last(beliefs)
    ends_ns = clock.client_ns(beliefs.expiry_uptime_s[last])
    ended_by = _ended_by(segments, beliefs, last)
    cut_short = ended_by != NO_SEGMENT
    cut_short_ns, nodest = segments.at_ns[ended_by], handled.expire_nodest[ended_by]
    rebooted_ns = clock.boot_ended_ns(segments.at_ns[last])
    return pd.DataFrame(
        {
            "flow": segments.flow[first],
            "first_ns": segments.at_ns[first],
            "last_ns": segments.at_ns[last],
            "state": beliefs.state[last],
            "timeout_s": beliefs.timeout_s[last],
            "ends_ns": np.minimum(np.where(cut_short, cut_short_ns, ends_ns), rebooted_ns),
            "cause": named(
                np.select(
                    [cut_short & nodest, cut_short, ends_ns > rebooted_ns],
                    [_CODES[EXPIRE_NODEST], _CODES[PORT_REUSE], _CODES[FLUSH]],
                    default=_CODES[TIMER],
                ),
                CAUSES,
            ),
        },
        copy=False,
    )


_CODES = dict(zip(CAUSES, np.arange(len(CAUSES), dtype=code_type(len(CAUSES))), strict=True))


def _ended_by(segments: Segments, beliefs: Beliefs, last: Ints) -> Ints:
    """The SYN after an entry's last segment that ended it at once; NO_SEGMENT if none did."""
    size = len(segments.flow)
    reached = ~beliefs.dropped | beliefs.reused  # what got to the tables
    rows = np.where(reached, np.arange(size), size)
    nearest = np.r_[np.minimum.accumulate(rows[::-1])[::-1], size]
    after = np.minimum(nearest[last + 1], max(size - 1, 0))
    ends = (after > last) & beliefs.reused[after]
    ends &= segments.flow[after] == segments.flow[last]
    return np.where(ends, after, NO_SEGMENT)


def ended_at(
    prediction: Prediction, when_ns: Callable[[pd.DataFrame], Ints], cause: str
) -> Prediction:
    """The prediction with some entries ended at other instants, for another cause.

    Args:
        prediction: a director's.
        when_ns: of some of its ``entries``, when each ends; ``AS_PREDICTED`` where that stands.
        cause: one of ``CAUSES``.
    """
    entries, store = prediction.entries, prediction.store
    writer = store.columns()

    def ends(rows: slice) -> None:
        part = entries.iloc[rows]
        at_ns = when_ns(part)
        stands = at_ns == AS_PREDICTED
        writer.append(
            {
                "ends_ns": np.where(stands, part["ends_ns"].to_numpy(), at_ns),
                "cause": np.where(stands, codes_of(part["cause"]), _CODES[cause]),
            }
        )

    for _ in over_stretches(store, len(entries), ends):
        pass
    columns = writer.finish()
    causes = named(columns["cause"], CAUSES)
    return replace(
        prediction, entries=with_columns(entries, ends_ns=columns["ends_ns"], cause=causes)
    )


def at_instants(places: Ints, at_ns: Ints) -> Callable[[pd.DataFrame], Ints]:
    """For ``ended_at``: the entries of these places, ascending, end at these instants."""

    def when_ns(part: pd.DataFrame) -> Ints:
        made = np.full(len(part), AS_PREDICTED)
        first = int(part.index[0]) if len(part) else 0
        rows = slice(*np.searchsorted(places, [first, first + len(part)]).tolist())
        made[places[rows] - first] = at_ns[rows]
        return made

    return when_ns


def groups_of_timed(parts: Iterable[pd.DataFrame], keys: list[str]) -> dict[tuple[Any, ...], int]:
    """How many entries that their timers end there are of each kind, in order of the first.

    Args:
        parts: of ``Prediction.entries``.
        keys: columns of these.
    """
    counts: dict[tuple[Any, ...], int] = {}
    for entries in parts:
        kinds = [entries[key].to_numpy() for key in keys]
        timed = (entries["cause"] == TIMER).to_numpy(dtype=bool)
        number = np.zeros(len(entries), dtype=np.int64)
        for values in kinds:
            code, found = pd.factorize(values)
            timed = timed & (code >= 0)
            number = number * len(found) + code
        numbers, first = np.unique(number[timed], return_index=True)
        n = np.bincount(np.searchsorted(numbers, number[timed]))
        for place in np.argsort(first).tolist():
            row = np.flatnonzero(timed)[first[place]]
            kind = tuple(values[row].item() for values in kinds)
            counts[kind] = counts.get(kind, 0) + int(n[place])
    return counts


def state_name(state: int) -> str:
    """The kernel's name of the number of a State or, of conntrack's alone, a CtState."""
    return State(state).name if state in _IPVS_STATES else CtState(state).name


def state_number(name: str) -> int | None:
    """The number of the State or CtState that the kernel calls so; None of another name."""
    known = State.__members__.get(name, CtState.__members__.get(name))
    return None if known is None else int(known)


_IPVS_STATES = frozenset(map(int, State))
