"""When a template goes: as measured on a real kernel (HZ 100), and put off while it has entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.persistence import PUT_OFF_S
from analyzer.ipvs.timers import expiry_uptime_s, granule_s
from tests.unit.analyzer.ipvs.law import template_gone_s

HZ, PERSISTENCE_S = 100, 20.0
CREATED_S = [1000.005 + step * 0.02 for step in range(3200)]  # in any phase of the wheel, mid-tick


def goes_s(created_s: float, timeout_s: float) -> float:
    return float(expiry_uptime_s(created_s, timeout_s, hz=HZ, phase_s=0.0))


def gone_s(created_s: list[float], children_gone_s: list[float], persistence_s: float) -> float:
    return template_gone_s(created_s, children_gone_s, persistence_s, hz=HZ, phase_s=0.0)


def lived(tcpfin_s: float) -> list[tuple[float, float]]:
    """Under -p 20: when the timer first fired, and when the template went, since the creation.

    One connection that closes at once: its entry goes after tcpfin.
    """
    return [
        (
            goes_s(at_s, PERSISTENCE_S) - at_s,
            gone_s([at_s], [goes_s(at_s, tcpfin_s)], PERSISTENCE_S) - at_s,
        )
        for at_s in CREATED_S
    ]


def test_it_goes_with_the_persistence_time_when_its_entries_went_before() -> None:
    """Measured: -p 20, tcpfin 5, gone at 20.3 s."""
    found = lived(5)
    assert all(first_s == last_s for first_s, last_s in found)
    tick_s = 1 / HZ  # jiffies count whole ones
    assert all(20 - tick_s < last_s <= 20 + granule_s(20, HZ) for _, last_s in found)
    assert any(last_s == pytest.approx(20.3, abs=0.05) for _, last_s in found)


def test_it_is_put_off_by_60_s_while_it_has_entries() -> None:
    """Measured: -p 20, tcpfin 30, put off at 20.4 s, gone at 84 s; its entry went at 30 s."""
    found = lived(30)
    late_s = granule_s(PUT_OFF_S, HZ)
    assert all(first_s + 60 < last_s <= first_s + 60 + late_s for first_s, last_s in found)
    as_measured = [last_s for first_s, last_s in found if abs(first_s - 20.4) < 0.05]
    assert any(84 <= last_s <= 85 for last_s in as_measured)
    assert all(80.3 < last_s < 85.6 for last_s in as_measured)


def test_it_is_put_off_again_and_again() -> None:
    """An idle connection of 900 s."""
    (at_s,) = created = [1000.0]
    child_s = goes_s(at_s, 900)
    found_s = gone_s(created, [child_s], PERSISTENCE_S)
    assert child_s <= found_s <= child_s + PUT_OFF_S + granule_s(PUT_OFF_S, HZ)
    times = round((found_s - goes_s(at_s, PERSISTENCE_S)) / (PUT_OFF_S + granule_s(60, HZ) / 2))
    assert times >= 14


def test_its_time_runs_from_the_last_connection_made_not_the_last_that_went() -> None:
    created = [1000.0, 1005.0, 1012.0]
    children_s = [1015.0, 1010.0, 1014.0]
    assert gone_s(created, children_s, PERSISTENCE_S) == goes_s(1012.0, PERSISTENCE_S)
    assert gone_s(created[::-1], children_s, PERSISTENCE_S) == goes_s(1012.0, PERSISTENCE_S)


def test_an_entry_that_goes_at_the_very_instant_does_not_hold_it() -> None:
    at_s = goes_s(1000.0, PERSISTENCE_S)
    assert gone_s([1000.0], [at_s], PERSISTENCE_S) == at_s
    assert gone_s([1000.0], [at_s + 0.001], PERSISTENCE_S) > at_s + PUT_OFF_S


@given(
    created_s=st.lists(st.floats(400, 2000), min_size=1, max_size=5),
    held_s=st.floats(0.01, 1000),
    persistence_s=st.integers(1, 3600),
    hz=st.sampled_from([100, 250, 300, 1000]),
    phase_s=st.floats(0, 1),
)
def test_a_template_outlives_its_entries_and_its_time_but_not_by_more_than_a_turn(
    created_s: list[float], held_s: float, persistence_s: int, hz: int, phase_s: float
) -> None:
    gone = [at_s + held_s for at_s in created_s]
    found_s = template_gone_s(created_s, gone, persistence_s, hz=hz, phase_s=phase_s)
    due_s = max(created_s) + persistence_s
    assert found_s >= max(gone)
    assert found_s > due_s - 1.5 / hz  # jiffies count whole ticks
    late_s = granule_s(persistence_s, hz) + 1 / hz
    turn_s = PUT_OFF_S + granule_s(PUT_OFF_S, hz)
    assert found_s <= max(due_s + late_s, max(gone) + turn_s)
