"""Entries of a director as predicted from packets: state, timeout, expiry and its cause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.states import CtState
from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.ipvs.states import State
from analyzer.parts import IN_MEMORY, Rows, cuts
from analyzer.predicted.replay import handling, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
EXPIRE_NODEST, DROP_ENTRY, FLUSH = "expire-nodest-conn", "drop-entry", "flush"
REFUSED = "refused"
"""conntrack deletes an entry whose only answer was a reset."""


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
        flow = self.steps["flow"].to_numpy()
        for rows in cuts(flow, self.store.part_rows) or [slice(0, 0)]:
            yield self.steps.iloc[rows]
            self.store.release()


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
    writer, entries, dropped_syns = store.columns(), [], 0
    outside: list[pd.DataFrame] = []
    for made in store.fill(writer, partial(_steps_apart, predict_part), tasks):
        entries.append(made.entries)
        dropped_syns += made.dropped_syns
        outside += [] if made.outside is None else [made.outside]
    return replace(
        made,
        entries=pd.concat(entries, ignore_index=True) if len(entries) > 1 else entries[0],
        steps=pd.DataFrame(writer.finish(), copy=False),
        dropped_syns=dropped_syns,
        store=store,
        outside=pd.concat(outside, ignore_index=True) if outside else None,
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
            "cause": np.select(
                [cut_short & nodest, cut_short, ends_ns > rebooted_ns],
                [EXPIRE_NODEST, PORT_REUSE, FLUSH],
                default=TIMER,
            ),
        }
    )


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


def ended_at(prediction: Prediction, chosen: Bools, at_ns: Ints, cause: str) -> Prediction:
    """The prediction with some entries ended early, at instants of shape (chosen entries,)."""
    entries = prediction.entries.copy()
    entries.loc[chosen, "ends_ns"] = at_ns
    entries.loc[chosen, "cause"] = cause
    return replace(prediction, entries=entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterChanges:
    """Changes of the counters and their instants; each array of shape (n,), ascending in time."""

    at_ns: Ints
    active: Int8s
    entries: Int8s


def changes_by_packets(
    prediction: Prediction, chosen: Ints, counts_as_active: Bools
) -> CounterChanges:
    """Counter changes by the packets of some of the entries; as ``predicted_curve``."""
    is_chosen = np.zeros(len(prediction.entries), dtype=bool)
    is_chosen[chosen] = True
    parts = [_changes(steps, is_chosen, counts_as_active) for steps in prediction.parts()]
    at_ns, active, entries = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(at_ns, kind="stable")
    return CounterChanges(at_ns=at_ns[order], active=active[order], entries=entries[order])


def _changes(
    steps: pd.DataFrame, chosen: Bools, counts_as_active: Bools
) -> tuple[Ints, Int8s, Int8s]:
    """Of some steps those that change a counter: when, and ActiveConn and all entries by what."""
    steps = steps if chosen.all() else steps[chosen[steps["entry"].to_numpy()]]
    entry, at_ns = steps["entry"].to_numpy(), steps["at_ns"].to_numpy()
    first = np.ones(len(entry), dtype=bool)
    first[1:] = entry[1:] != entry[:-1]
    active = counts_as_active[steps["state"].to_numpy(dtype=np.int64)].astype(np.int8)
    more = active.copy()
    more[1:] -= np.where(first[1:], np.int8(0), active[:-1])
    changed = first | (more != 0)
    return at_ns[changed], more[changed], first[changed].astype(np.int8)


def predicted_curve(
    prediction: Prediction,
    chosen: Ints,
    counts_as_active: Bools,
    by_packets: CounterChanges | None = None,
) -> tuple[Ints, Ints, Ints]:
    """ActiveConn and InActConn of some of the entries: when they change, and to what.

    Args:
        prediction: one director's.
        chosen: indices into ``prediction.entries``; each once.
        counts_as_active: which states its kernel counts so (``states.is_active``).
        by_packets: ``changes_by_packets`` of the same, if it is known already.

    Returns:
        ``at_ns, active, inactive``, each of shape (changes,), ascending in time.
    """
    begun = by_packets or changes_by_packets(prediction, chosen, counts_as_active)
    state, ends_ns = (
        prediction.entries[name].to_numpy(dtype=np.int64)[chosen] for name in ("state", "ends_ns")
    )
    times = np.r_[begun.at_ns, ends_ns]
    more_active = np.r_[begun.active, -counts_as_active[state].astype(np.int8)]
    more_entries = np.r_[begun.entries, np.full(len(ends_ns), -1, dtype=np.int8)]
    order = np.argsort(times, kind="stable")
    times, more_active, more_entries = times[order], more_active[order], more_entries[order]
    changed = np.flatnonzero(np.r_[np.diff(times) > 0, True]) if len(times) else times
    actives = np.cumsum(more_active)[changed]
    return times[changed], actives, np.cumsum(more_entries)[changed] - actives


def state_name(state: int) -> str:
    """The kernel's name of the number of a State or, of conntrack's alone, a CtState."""
    return State(state).name if state in _IPVS_STATES else CtState(state).name


def state_number(name: str) -> int | None:
    """The number of the State or CtState that the kernel calls so; None of another name."""
    known = State.__members__.get(name, CtState.__members__.get(name))
    return None if known is None else int(known)


_IPVS_STATES = frozenset(map(int, State))
