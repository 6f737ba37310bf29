"""Cases of late packets come to the same in any parts, and in the order of the first of a kind."""

from __future__ import annotations

from functools import reduce

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import State
from analyzer.traces.expired.cases import Cases, Found, Source, found_in
from analyzer.traces.expired.model import ANSWERS, SHOWN
from tests.unit.properties import examples

ASSUMED = np.zeros(12, dtype=bool)
CASES = st.lists(
    st.tuples(
        st.integers(0, 5),  # flow
        st.integers(0, 3),  # at_ns
        st.sampled_from([Source.FROM_CLIENT, Source.FROM_SERVER]),
        st.integers(0, 3),  # at most late, seconds
        st.sampled_from(["reset", "none", "reply"]),
        st.sampled_from([900.0, 120.0]),  # the timeout, seconds
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda case: case[:3],
)
Case = tuple[int, int, Source, int, str, float]


def cases_of(rows: list[Case], at_least_s: float = 1.0) -> Cases:
    flow, at_ns, source, late_s, answer, timeout_s = zip(*rows, strict=True)
    n = len(rows)
    return Cases.joined(
        [
            Cases(
                source=np.array(source, dtype=np.int8),
                flow=np.array(flow),
                at_ns=np.array(at_ns),
                packets=np.ones(n, dtype=np.int64),
                pause_s=np.array(timeout_s) + np.array(late_s),
                at_least_s=np.full(n, at_least_s),
                at_most_s=np.array(late_s, dtype=np.float64),
                state=np.full(n, State.ESTABLISHED, dtype=np.int8),
                timeout_s=np.array(timeout_s),
                answer=np.array([ANSWERS.index(each) for each in answer], dtype=np.int8),
                moved=np.full(n, -1, dtype=np.int8),
            )
        ]
    )


@given(CASES)
@examples(30)
def test_parts_of_whole_flows_come_to_what_all_do(rows: list[Case]) -> None:
    parts = [[row for row in rows if row[0] // 2 == part] for part in range(3)]
    found = [found_in(cases_of(part), ASSUMED, 0) for part in parts if part]
    together = reduce(Found.plus, found, Found()).with_cases(cases_of(rows).kept)
    whole = Found().plus(found_in(cases_of(rows), ASSUMED, 0)).with_cases(cases_of(rows).kept)
    assert list(together.kinds.items()) == list(whole.kinds.items())
    assert together.examples == whole.examples
    ordered = sorted(rows, key=lambda row: (row[1], row[2], row[0]))
    seen = dict.fromkeys((row[2] == Source.FROM_SERVER, *row[4:]) for row in ordered)
    assert list(seen) == [
        (kind.by == "server", kind.answer, kind.timeout_s) for kind in whole.kinds
    ]
    worst = sorted(ordered, key=lambda row: (row[4] == "reply", -row[3]))[:SHOWN]
    assert [(case.flow, case.at_ns) for case in whole.examples] == [row[:2] for row in worst]


def test_a_packet_that_came_when_the_timer_may_just_have_ended_shows_nothing_by_silence() -> None:
    rows: list[Case] = [
        (flow, flow, Source.FROM_CLIENT, 1, answer, 900.0)
        for flow, answer in enumerate(("none", "reset"))
    ]
    assert cases_of(rows, at_least_s=0.0).at_the_edge.tolist() == [True, False]
    assert cases_of(rows, at_least_s=1e-9).at_the_edge.tolist() == [False, False]


def test_what_is_kept_is_in_the_order_of_the_flows() -> None:
    rows: list[Case] = [
        (flow, at_ns, Source.FROM_CLIENT, 1, "none", 900.0)
        for flow, at_ns in ((3, 1), (1, 2), (3, 0))
    ]
    kept = cases_of(rows).kept
    assert (kept["flow"].tolist(), kept["at_ns"].tolist()) == ([1, 3, 3], [2, 0, 1])
