"""When a drained real server of a recording may be rebooted, over all directors and services."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.report import to_json
from tests.unit.analyzer import builders_packets as build
from tests.unit.analyzer.drains.test_drains import FACTS, SERVER, ZERO_NS, Change, at, seconds_of
from tests.unit.properties import examples

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.results import SafeToReboot

OTHER = "192.168.10.22"
NEVER_S = 1e9
FIN_WAIT: Change = (6.0, "appeared", "FIN_WAIT", 19, 1)
OPEN: Change = (1.0, "appeared", "ESTABLISHED", 899, 1)


@dataclass(frozen=True, kw_only=True)
class Polled:
    """A director, polled twice a second.

    Attributes:
        changes: (at, change, state, expires, client port) of entries of ``SERVER``.
        zero_s: between which instants ``SERVER`` has weight 0.
        gone_s: from when on it is not listed at all.
        port: of the service.
        polled_until_s: when the director falls silent.
        entries_until_s: when its entries are read for the last time; 0: never.
    """

    changes: list[Change] = field(default_factory=list)
    zero_s: tuple[float, float] = (5, NEVER_S)
    gone_s: float = NEVER_S
    port: int = 80
    polled_until_s: float = NEVER_S
    entries_until_s: float = NEVER_S


def recorded(path: Path, directors: dict[str, Polled], seconds: float = 10, **told: Any) -> Path:
    facts = dict.fromkeys(directors, FACTS)
    manifest = {"command": "collect", "started_at_ns": ZERO_NS, "directors": facts, "ended": None}
    writer = RecordingWriter(path, manifest | told)
    for name, polled in directors.items():
        for poll in range(round(min(seconds, polled.polled_until_s) * 2) + 1):
            _append_poll(writer, name, polled, poll / 2)
        for at_s, change, state, expires_s, port in polled.changes:
            row = {"at": at(at_s), "director": name, "change": change, "protocol": "TCP"}
            row |= {"state": state, "expires_s": expires_s, "client_ip": build.CLIENT}
            row |= {"client_port": port, "vip": build.VIP, "port": polled.port}
            writer.append("entries", row | {"real_server": SERVER, "real_port": 80})
    writer.close("completed")
    return path


def _append_poll(writer: RecordingWriter, name: str, polled: Polled, at_s: float) -> None:
    reads = bool(polled.entries_until_s) and at_s <= polled.entries_until_s
    row = {"at": at(at_s), "director": name, "what": "entries" if reads else "services"}
    row |= {"took_ms": 0.0, "asked": at(at_s), "director_uptime_s": 1000 + at_s}
    writer.append("polls", row)
    weight = 0 if polled.zero_s[0] <= at_s < polled.zero_s[1] else 1
    for server, its_weight in ((SERVER, weight), (OTHER, 1)):
        if server == SERVER and at_s >= polled.gone_s:
            continue
        row = {"at": at(at_s), "director": name, "protocol": "TCP", "vip": build.VIP}
        row |= {"port": polled.port, "real_server": server, "real_port": 80, "forwarding": "dr"}
        row |= {"scheduler": "rr", "weight": its_weight, "active": 0, "inactive": 3}
        writer.append("services", row)


def answers(path: Path, **directors: Polled) -> tuple[SafeToReboot, ...]:
    return analyse(Recording.open(recorded(path, directors))).safe_to_reboot


def answer(path: Path, **directors: Polled) -> SafeToReboot:
    (found,) = answers(path, **directors)
    return found


def test_the_last_entry_of_all_directors_decides(tmp_path: Path) -> None:
    later: Change = (8.0, "appeared", "FIN_WAIT", 19, 2)
    found = answer(
        tmp_path, bal01=Polled(changes=[FIN_WAIT]), bal02=Polled(changes=[FIN_WAIT, later])
    )
    assert (found.real_server, found.answer, found.why) == (SERVER, "safe", ())
    assert (found.directors, found.entries) == (("bal01", "bal02"), 3)
    assert found.uncertainty_s is not None
    low_s = seconds_of(found.gone_by) - found.uncertainty_s
    assert 27 < low_s < 28 + 1  # a timeout of 20 s from a packet between 7.5 and 8 s
    assert seconds_of(found.safe_after) == pytest.approx(low_s + 2 * found.uncertainty_s, abs=0.002)


def test_of_one_director_it_is_what_the_drain_says(tmp_path: Path) -> None:
    analysis = analyse(Recording.open(recorded(tmp_path, {"bal01": Polled(changes=[FIN_WAIT])})))
    (drain,), (found,) = analysis.drains, analysis.safe_to_reboot
    assert (found.gone_by, found.uncertainty_s) == (drain.gone_by, drain.uncertainty_s)
    assert to_json(analysis)["safe_to_reboot"][0]["answer"] == "safe"


def test_a_server_that_holds_nothing_is_safe_since_it_was_seen_to(tmp_path: Path) -> None:
    gone: Change = (8.0, "gone", "FIN_WAIT", 0, 1)
    found = answer(tmp_path, bal01=Polled(changes=[FIN_WAIT, gone]), bal02=Polled())
    assert (found.answer, found.entries) == ("safe", 0)
    assert seconds_of(found.safe_after) == 8
    assert (found.gone_by, found.uncertainty_s) == (None, None)


@pytest.mark.parametrize(
    ("other", "known", "why"),
    [
        (Polled(zero_s=(NEVER_S, NEVER_S)), True, "weight 1 on bal02 (TCP 192.168.10.2:80)"),
        (Polled(zero_s=(5, 8)), True, "weight 1 on bal02 (TCP 192.168.10.2:80)"),
        (
            Polled(changes=[OPEN, (7.0, "state", "ESTABLISHED", 899, 1)]),
            True,
            "traffic went on on bal02 (TCP 192.168.10.2:80)",
        ),
        (Polled(entries_until_s=0), False, "entries of bal02 were not read"),
        (
            Polled(entries_until_s=4),
            False,
            "entries of bal02 were not read after it was drained",
        ),
    ],
)
def test_what_stands_against_it_anywhere_leaves_no_instant(
    tmp_path: Path, other: Polled, known: bool, why: str
) -> None:
    found = answer(tmp_path, bal01=Polled(changes=[FIN_WAIT]), bal02=other)
    assert found.answer == ("not-safe" if known else "not-known")
    assert found.why == (why,)
    assert (found.safe_after, found.gone_by, found.uncertainty_s) == (None, None, None)


def test_a_director_that_fell_silent_leaves_it_unknown(tmp_path: Path) -> None:
    directors = {"bal01": Polled(changes=[FIN_WAIT]), "bal02": Polled(polled_until_s=6)}
    recorded(tmp_path, directors, seconds=30)
    (found,) = analyse(Recording.open(tmp_path)).safe_to_reboot
    assert (found.answer, found.why) == ("not-known", ("bal02 did not answer in the last 24 s",))


def test_a_director_that_was_never_polled_leaves_it_unknown(tmp_path: Path) -> None:
    found = answer(tmp_path, bal01=Polled(changes=[FIN_WAIT]), bal02=Polled(polled_until_s=-1))
    assert (found.answer, found.why) == ("not-known", ("bal02 was not polled",))


def test_a_server_that_was_removed_is_waited_for_as_one_of_weight_0(tmp_path: Path) -> None:
    removed = Polled(changes=[FIN_WAIT], zero_s=(NEVER_S, NEVER_S), gone_s=8)
    found = answer(tmp_path, bal01=removed)
    assert (found.real_server, found.answer, found.entries) == (SERVER, "safe", 1)
    assert 25.5 < seconds_of(found.gone_by) < 27


def test_a_server_without_entries_is_safe_since_it_was_removed(tmp_path: Path) -> None:
    found = answer(tmp_path, bal01=Polled(zero_s=(NEVER_S, NEVER_S), gone_s=8))
    assert (found.answer, found.entries, found.gone_by) == ("safe", 0, None)
    assert seconds_of(found.safe_after) == 8


def test_entries_of_a_service_that_has_it_no_more_count_as_well(tmp_path: Path) -> None:
    other = Polled(changes=[FIN_WAIT], port=443, gone_s=7)
    found = answer(tmp_path, bal01=Polled(), bal02=other)
    assert (found.answer, found.entries) == ("safe", 1)
    assert seconds_of(found.safe_after) > 25


def test_a_server_that_nobody_drained_is_not_asked_about(tmp_path: Path) -> None:
    assert answers(tmp_path, bal01=Polled(zero_s=(NEVER_S, NEVER_S))) == ()


@pytest.mark.parametrize(
    ("told", "all_services"),
    [
        ({"command": "collect", "command_line": ["collect"]}, True),
        ({"command": "collect", "command_line": ["collect", "--service", "10.0.0.1"]}, False),
        ({"command": "collect", "command_line": ["collect", "--service=10.0.0.1"]}, False),
        ({"command": "import"}, True),
        ({"command": "burst"}, False),
    ],
)
def test_it_says_whether_all_services_were_recorded(
    tmp_path: Path, told: dict[str, Any], all_services: bool
) -> None:
    recorded(tmp_path, {"bal01": Polled()}, **told)
    (found,) = analyse(Recording.open(tmp_path)).safe_to_reboot
    assert found.all_services is all_services


polled = st.builds(
    Polled,
    changes=st.sampled_from([[], [FIN_WAIT], [FIN_WAIT, (8.0, "gone", "FIN_WAIT", 0, 1)]]),
    zero_s=st.sampled_from([(0.0, NEVER_S), (5, NEVER_S), (5, 8), (NEVER_S, NEVER_S)]),
    gone_s=st.sampled_from([NEVER_S, 7]),
    entries_until_s=st.sampled_from([0, 4, NEVER_S]),
)


@examples(40)
@given(first=polled, second=polled)
def test_an_instant_is_given_only_where_nothing_is_missing(
    tmp_path_factory: pytest.TempPathFactory, first: Polled, second: Polled
) -> None:
    for found in answers(tmp_path_factory.mktemp("run"), bal01=first, bal02=second):
        assert (found.safe_after is None) == bool(found.why) == (found.answer != "safe")
        if found.safe_after is None:
            continue
        for polled in (first, second):
            drained_s = min(polled.zero_s[0], polled.gone_s)
            assert polled.entries_until_s > drained_s  # its entries were read after it
            assert polled.gone_s == 7 or (polled.zero_s[0] <= 5 and polled.zero_s[1] == NEVER_S)
        if found.gone_by is not None and found.uncertainty_s is not None:
            end_s = seconds_of(found.gone_by) + found.uncertainty_s
            assert seconds_of(found.safe_after) == pytest.approx(end_s, abs=0.002)
