"""When a real server may be rebooted, from what each director has of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analyzer.drains.reboot import Reboot, ServerUse, reboots

uses = st.builds(
    ServerUse,
    director=st.sampled_from(["bal01", "bal02"]),
    real_server=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    is_draining=st.booleans(),
    last_gone_ns=st.integers(0, 2**62),
    obstacle=st.none() | st.sampled_from(["weight 1", "not read"]),
)


def use(**changed: object) -> ServerUse:
    values = {"director": "bal01", "real_server": "10.0.0.1", "is_draining": True}
    return ServerUse(**{**values, **changed})  # type: ignore[arg-type]


def test_the_last_entry_of_all_directors_decides() -> None:
    found = reboots([use(last_gone_ns=5), use(director="bal02", last_gone_ns=9)])
    assert found == (Reboot(real_server="10.0.0.1", after_ns=9, earliest_ns=0),)


def test_an_obstacle_anywhere_leaves_no_promise() -> None:
    found = reboots([use(last_gone_ns=5), use(is_draining=False, obstacle="weight 1")])
    assert found == (Reboot(real_server="10.0.0.1", after_ns=None, obstacles=("weight 1",)),)


def test_a_director_that_is_not_known_is_an_obstacle_of_every_server() -> None:
    found = reboots([use(), use(real_server="10.0.0.2")], ["bal02 does not answer"])
    assert [reboot.after_ns for reboot in found] == [None, None]


@given(st.lists(uses, max_size=8))
def test_a_time_is_promised_only_without_obstacles_and_is_the_latest(
    given: list[ServerUse],
) -> None:
    for reboot in reboots(given):
        of_server = [use for use in given if use.real_server == reboot.real_server]
        assert any(use.is_draining for use in of_server)
        has_obstacle = any(use.obstacle for use in of_server)
        latest = max(use.last_gone_ns for use in of_server)
        assert reboot.after_ns == (None if has_obstacle else latest)
