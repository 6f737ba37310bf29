"""Late polls in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from analyzer.ipvs.proc.formats import parse_services
from loadgen.live import recent_polls
from loadgen.live.recent_polls import KEPT_S, RecentPolls
from loadgen.live.view import HeldEntries
from reports.charts.curves import gaps
from tests.unit.loadgen.collect.builders_view import director, server

if TYPE_CHECKING:
    import pytest

    from analyzer.ipvs.proc.formats import Service
    from loadgen.director.polling.poller import Poller

NS = 1_000_000_000
HEAD = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80A02:0050 rr
"""


@dataclass
class Polled:
    """What ``Seen`` looks at of a poller."""

    polled_ns: int | None
    services: tuple[Service, ...] = ()


def polled(at_s: float, **inactive: int) -> Poller:
    """A poll with so many inactive on each real server, one of them active."""
    rows = [
        f"  -> C0A80A{int(name.removeprefix('srv')):02X}:0050 Route 1 1 {n}\n"
        for name, n in inactive.items()
    ]
    services = parse_services(HEAD + "".join(rows)).services
    return cast("Poller", Polled(int(at_s * NS), services))


def test_each_poll_is_a_point_of_each_real_servers_curve() -> None:
    seen = RecentPolls("bal01", 0)
    for poller in (polled(1, srv21=5, srv22=7), polled(1.25, srv21=6, srv22=7)):
        seen.take(poller)
        seen.take(poller)  # nothing new
    one, other = seen.curves()
    assert (one.director, one.real_server) == ("bal01", "192.168.10.21:80")
    assert one.t_s.tolist() == [1, 1.25]
    assert one.inactive.tolist() == [5, 6]
    assert one.active.tolist() == [1, 1]
    assert other.inactive.tolist() == [7, 7]
    assert seen.peak == 13


def test_before_a_poll_nothing_is_known() -> None:
    seen = RecentPolls("bal01", 0)
    seen.take(cast("Poller", Polled(None)))
    assert seen.curves() == ()
    assert seen.peak is None


def test_a_real_server_that_comes_later_has_no_point_before() -> None:
    seen = RecentPolls("bal01", 0)
    seen.take(polled(1, srv21=5))
    seen.take(polled(2, srv21=5, srv22=1))
    assert [curve.t_s.tolist() for curve in seen.curves()] == [[1, 2], [2]]


def test_where_a_director_was_not_polled_its_curve_has_a_gap() -> None:
    seen = RecentPolls("bal01", 0)
    for at_s in (*range(10), *range(30, 40)):
        seen.take(polled(at_s, srv21=5))
    (curve,) = seen.curves()
    assert gaps(curve.t_s) == ((9.0, 30.0),)


def test_only_the_last_minutes_and_so_many_servers_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recent_polls, "SERVERS", 2)
    seen = RecentPolls("bal01", 0)
    for at_s in (0.0, 1.0, KEPT_S + 0.5):
        seen.take(polled(at_s, srv21=5, srv22=1, srv23=9))
    assert [curve.t_s.tolist() for curve in seen.curves()] == [[1, KEPT_S + 0.5]] * 2
    assert seen.peak == 15


def test_entries_are_counted_by_state_at_each_read_of_them() -> None:
    seen = RecentPolls("bal01", 0)

    def read(at_s: float, **states: int) -> Any:
        held = HeldEntries(states=states, oldest_ends_ns=None)
        shown = director(server(held=held), server(real_server="192.168.10.22", held=held))
        return replace(shown, entries_read_ns=int(at_s * NS))

    seen.take_entries(read(1, FIN_WAIT=3))
    seen.take_entries(read(1, FIN_WAIT=3))
    seen.take_entries(read(2, FIN_WAIT=2, CLOSE=1))
    seen.take_entries(replace(read(3), up=False))
    course = seen.course()
    assert course.t_s.tolist() == [1, 2]
    assert {name: n.tolist() for name, n in course.counts.items()} == {
        "FIN_WAIT": [6, 4],
        "CLOSE": [0, 2],
    }
