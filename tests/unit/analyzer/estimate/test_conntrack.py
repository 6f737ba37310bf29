"""Groups of conntrack's entries, and the timeout that their polls allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.conntrack.settings import DEFAULTS_S, ConntrackSettings
from analyzer.conntrack.states import CtState
from analyzer.estimate.conntrack import conntrack_lifetimes, predicted_conntrack_lifetimes
from tests.unit.analyzer.builders_packets import BOOT_NS, NS
from tests.unit.analyzer.builders_parts import cut
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.results import Lifetime

READ = ConntrackSettings()
UNREAD = ConntrackSettings(assumed=frozenset(DEFAULTS_S))


def entry(
    last_s: float, seen_s: float, absent_s: float, state: str = "TIME_WAIT", timeout_s: float = 120
) -> dict[str, object]:
    return {
        "protocol": "TCP",
        "state": state,
        "predicted_state": int(CtState[state]),
        "timeout_s": timeout_s,
        "cause": "timer",
        **{
            f"{name}_ns": BOOT_NS + round(at_s * NS)
            for name, at_s in {
                "last": last_s,
                "seen": seen_s,
                "absent": absent_s,
                "absent_by": absent_s,
                "ends": last_s + timeout_s,
            }.items()
        },
    }


def lifetimes_of(
    *rows: dict[str, object], settings: ConntrackSettings = READ, parts: int = 1
) -> list[Lifetime]:
    kinds = {name: "Int64" for name in rows[0] if name.endswith("_ns")}
    kinds |= {name: "string" for name, value in rows[0].items() if isinstance(value, str)}
    tracked = cut(pd.DataFrame(list(rows)).astype(kinds), parts)
    return conntrack_lifetimes(tracked, "node01", settings, slack_s=0.0)


def test_polls_leave_the_timeout_between_the_last_sight_and_the_first_miss() -> None:
    rows = [entry(0.0, 119.9, 120.1), entry(0.05, 120.0, 120.3)]
    (found,) = lifetimes_of(*rows)
    assert found.timeout_measured_s is not None
    low_s = found.timeout_measured_s.value - found.timeout_measured_s.uncertainty
    high_s = found.timeout_measured_s.value + found.timeout_measured_s.uncertainty
    assert (low_s, high_s) == pytest.approx((119.93, 120.13))
    assert found.lifetime_s is not None
    assert found.lifetime_s.mean == pytest.approx(120.0, abs=0.1)


def test_polls_that_no_one_timeout_explains_measure_none() -> None:
    rows = [entry(0.0, 19.9 + 20 * n, 20.1 + 20 * n) for n in range(3)]
    (found,) = lifetimes_of(*rows)
    assert found.timeout_measured_s is None
    assert found.n_expired == 3


def test_entries_of_one_state_under_two_sysctls_are_two_groups() -> None:
    rows = [
        entry(0.0, 299.9, 300.1, "ESTABLISHED", 300),
        entry(0.0, 299.9, 300.1, "ESTABLISHED", 300),
        entry(0.0, 431_999.9, 432_000.1, "ESTABLISHED", 432_000),
    ]
    found = lifetimes_of(*rows)
    assert [(row.timeout_name, row.timeout_s, row.n) for row in found] == [
        ("nf_conntrack_tcp_timeout_unacknowledged", 300, 2),
        ("nf_conntrack_tcp_timeout_established", 432_000, 1),
    ]


def test_the_sysctl_is_the_one_that_the_replay_chose_and_not_another_of_its_value() -> None:
    time_wait, shorter = (
        f"nf_conntrack_tcp_timeout_{name}" for name in ("time_wait", "unacknowledged")
    )
    rows = [entry(0.0, 299.9, 300.1, timeout_s=300) | {"timeout_name": time_wait}] * 2
    rows += [entry(0.0, 299.9, 300.1, timeout_s=300) | {"timeout_name": shorter}]
    found = lifetimes_of(*rows)
    assert [(row.timeout_name, row.timeout_s, row.n) for row in found] == [
        (time_wait, 300, 2),
        (shorter, 300, 1),
    ]
    named = pd.DataFrame(rows).assign(state=CtState.TIME_WAIT)
    predicted = predicted_conntrack_lifetimes([named], "node01", READ)
    assert [(row.timeout_name, row.n) for row in predicted] == [(time_wait, 2), (shorter, 1)]


def test_what_was_not_read_is_no_configured_timeout() -> None:
    (found,) = lifetimes_of(entry(0.0, 119.9, 120.1), settings=UNREAD)
    assert (found.timeout_s, found.timeout_source) == (None, None)
    assert found.timeout_name == "nf_conntrack_tcp_timeout_time_wait"


def test_a_state_that_is_not_the_predicted_one_waits_its_own_timeout() -> None:
    row = entry(0.0, 59.9, 60.1, "SYN_RECV", 120) | {"predicted_state": int(CtState.SYN_SENT)}
    (found,) = lifetimes_of(row)
    assert (found.timeout_name, found.timeout_s) == ("nf_conntrack_tcp_timeout_syn_recv", 60)


def test_entries_that_ended_otherwise_are_left_out() -> None:
    row = entry(0.0, 1.0, 1.1) | {"cause": "refused"}
    assert lifetimes_of(row) == []


def test_predicted_groups_without_polls() -> None:
    entries = pd.DataFrame(
        {
            "state": [CtState.TIME_WAIT, CtState.TIME_WAIT, CtState.ASSURED, CtState.CLOSE],
            "timeout_s": [120.0, 120.0, 120.0, 0.0],
            "cause": ["timer", "timer", "timer", "refused"],
        }
    )
    found = predicted_conntrack_lifetimes([entries], "node01", READ)
    assert [(row.state, row.protocol, row.n) for row in found] == [
        ("TIME_WAIT", "TCP", 2),
        ("ASSURED", "UDP", 1),
    ]


ENTRIES = st.builds(
    lambda last_s, waited_s, gap_s, state, timeout_s, off_s, sysctl: (
        entry(last_s, last_s + waited_s, last_s + waited_s + gap_s, state, timeout_s)
        | {"timeout_name": f"nf_conntrack_tcp_timeout_{sysctl}"}
        | ({} if off_s is None else {"ends_ns": BOOT_NS + round((last_s + waited_s + off_s) * NS)})
    ),
    last_s=st.floats(0, 50),
    waited_s=st.sampled_from([119.5, 119.9, 120.0, 300.0]),
    gap_s=st.sampled_from([0.2, 0.5, 30.0]),
    state=st.sampled_from(["TIME_WAIT", "CLOSE", "ESTABLISHED"]),
    timeout_s=st.sampled_from([120.0, 300.0]),
    off_s=st.sampled_from([None, -0.1, 0.3]),
    sysctl=st.sampled_from(["time_wait", "unacknowledged"]),
)


@examples(30)
@given(rows=st.lists(ENTRIES, min_size=1, max_size=20), parts=st.integers(2, 7))
def test_groups_of_entries_in_parts_are_those_of_the_whole(
    rows: list[dict[str, object]], parts: int
) -> None:
    assert lifetimes_of(*rows, parts=parts) == lifetimes_of(*rows)
