"""Of many connections those are chosen that stand out, never too many, and one that does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analyzer.predicted.entries import PORT_REUSE, TIMER
from analyzer.traces.choose import MOST, MOST_ALIKE, REASONS, Crowd, choose, connection_of


def crowd(n: int, **columns: Any) -> Crowd:
    """Connections of a millisecond each, all alike but for the columns that are given."""
    flow = np.arange(n)
    table = pd.DataFrame(
        {
            "flow": flow,
            "first_ns": flow * 1000,
            "last_ns": flow * 1000 + 1_000_000,
            "syns": 1,
            "retry_s": 0.0,
            "closer": "client",
        }
    )
    plain: dict[str, Any] = {
        "total_ms": np.full(n, np.nan),
        "failed": np.zeros(n, dtype=bool),
        "last_state": np.full(n, 4),
        "cause": np.full(n, TIMER, dtype="U24"),
        "off_s": np.zeros(n),
    }
    own = {name: value for name, value in columns.items() if name in plain}
    table = table.assign(**{name: value for name, value in columns.items() if name not in plain})
    return Crowd(table=table, **(plain | own))


def test_the_longest_repetition_comes_first() -> None:
    retry_s = np.array([0.0, 1.0, 7.0, 3.0])
    chosen = choose([crowd(4, syns=1 + (retry_s > 0), retry_s=retry_s)])
    assert [row for row, reasons in chosen if reasons[0] == "syn-repeated"] == [2, 3, 1]


def test_both_connections_of_a_reused_port_are_chosen() -> None:
    cause = np.array([TIMER, PORT_REUSE, TIMER, PORT_REUSE, TIMER], dtype="U24")
    chosen = choose([crowd(5, flow=[0, 1, 1, 2, 3], cause=cause)])
    assert sorted(row for row, reasons in chosen if "port-reuse" in reasons) == [1, 2, 3]


def test_a_run_where_all_are_alike_still_offers_one() -> None:
    reasons = [names for _, names in choose([crowd(1000)])]
    assert ("usual",) in [names[-1:] for names in reasons]
    assert len(reasons) <= MOST_ALIKE + 1


@given(
    st.integers(0, 300).flatmap(
        lambda n: st.tuples(
            st.lists(st.sampled_from([0.0, 1.0, 3.0, 7.0]), min_size=n, max_size=n),
            st.lists(st.sampled_from(["client", "server", "reset"]), min_size=n, max_size=n),
            st.lists(st.one_of(st.just(np.nan), st.floats(0, 1e6)), min_size=n, max_size=n),
        )
    )
)
def test_the_choice_is_bounded_without_repeats_and_each_reason_is_true(
    drawn: tuple[list[float], list[str], list[float]],
) -> None:
    retry_s, closer, total_ms = np.array(drawn[0]), drawn[1], np.array(drawn[2])
    many = crowd(len(retry_s), retry_s=retry_s, syns=1 + (retry_s > 0), closer=closer)
    many = Crowd(
        table=many.table,
        total_ms=total_ms,
        failed=many.failed,
        last_state=many.last_state,
        cause=many.cause,
        off_s=many.off_s,
    )
    chosen = choose([many])
    rows = [row for row, _ in chosen]
    assert len(rows) == len(set(rows)) <= MOST
    for row, reasons in chosen:
        assert reasons
        assert all(not np.isnan(REASONS[name][1](many)[row]) for name in reasons)
    if (retry_s > 0).any():  # the worst of a kind is never left out
        best = retry_s[[row for row, names in chosen if "syn-repeated" in names]]
        assert best.max() == retry_s.max()


def test_an_instant_belongs_to_the_last_connection_that_began_before_it() -> None:
    table = pd.DataFrame({"flow": [0, 0, 2], "first_ns": [10_000, 50_000, 30_000]})
    flows, at_ns = np.array([0, 0, 0, 1, 2, 2]), np.array([10, 49, 50, 60, 29, 99]) * 1000
    assert connection_of(table, flows, at_ns).tolist() == [0, 0, 1, -1, -1, 2]
