"""Findings about real servers: shares, weights, removals; and about copies on a backup."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pandas as pd
import pytest

from analyzer.findings.servers import synced_copies
from analyzer.observed.parted import Parted
from tests.unit.analyzer.builders_run import FIRST, SECOND, closed, opened
from tests.unit.analyzer.findings.builders_scene import Scene, by_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.findings.figures import Figures
    from analyzer.results import Finding
    from tests.unit.analyzer.builders_run import Life


def shared(first: int, second: int) -> list[Life]:
    """So many connections of either server, over 2 s."""
    servers = [FIRST] * first + [SECOND] * second
    return [
        closed(40000 + n, 1000.0 + 2 * n / len(servers), server=server)
        for n, server in enumerate(servers)
    ]


def weights(first: int, second: int) -> Callable[[str, float], int]:
    return lambda server, _at_s: first if server == FIRST else second


# imbalance ----------------------------------------------------------------------------------------


def imbalance(path: Path, scene: Scene) -> Finding | None:
    return by_id(replace(scene, until_s=1010.0).played(path)).get("imbalance")


@pytest.mark.parametrize(
    ("scheduler", "first", "second", "of"),
    [
        ("rr", 1, 1, [(40, 25, 1), (10, 25, 1)]),
        ("wrr", 1, 3, [(40, 12, 1), (10, 38, 3)]),  # 12.5 and 37.5: rounded to even
    ],
)
def test_shares_that_the_weights_do_not_explain(
    tmp_path: Path, scheduler: str, first: int, second: int, of: list[tuple[int, int, int]]
) -> None:
    scene = Scene(lives=shared(40, 10), scheduler=scheduler, weight=weights(first, second))
    one = imbalance(tmp_path, scene)
    assert one is not None
    assert one.severity == "warning"
    shares = ", ".join(
        f"{server}:80 {seen} of {expected} expected (weight {weight})"
        for server, (seen, expected, weight) in zip((FIRST, SECOND), of, strict=True)
    )
    assert one.evidence.startswith(f"On bal01: {shares}; chi-square p = ")
    assert float(one.evidence.split("p = ")[1].rstrip(".")) < 0.001


@pytest.mark.parametrize(
    ("scheduler", "counts", "heavy"),
    [
        ("rr", (25, 25), (1, 1)),  # even
        ("rr", (30, 20), (1, 1)),  # as chance has it: p = 0.16
        ("wrr", (36, 12), (3, 1)),  # as the weights say
        ("wlc", (40, 10), (1, 1)),  # by load
        ("lc", (40, 10), (1, 1)),
        ("sh", (50, 0), (1, 1)),  # by address: one client, one server
        ("wrr", (16, 0), (1, 3)),  # too few to tell: 4 expected
        ("wrr", (50, 0), (1, 0)),  # nothing is expected of weight 0
    ],
)
def test_shares_that_tell_nothing(
    tmp_path: Path, scheduler: str, counts: tuple[int, int], heavy: tuple[int, int]
) -> None:
    scene = Scene(lives=shared(*counts), scheduler=scheduler, weight=weights(*heavy))
    assert imbalance(tmp_path, scene) is None


def test_a_weight_that_was_changed_midway_explains_any_share(tmp_path: Path) -> None:
    def weight(server: str, at_s: float) -> int:
        return 4 if server == SECOND and at_s > 1001 else 1

    scene = Scene(lives=shared(40, 10), scheduler="wrr", weight=weight)
    assert imbalance(tmp_path, scene) is None


# removed-server-entries ---------------------------------------------------------------------------


def removed(path: Path, at_s: float, back_s: float = 2000.0) -> Finding | None:
    lives = [closed(40000 + n, 1000.0 + 0.2 * n) for n in range(5)]
    lives += [closed(41000 + n, 1000.0 + 0.2 * n, server=SECOND) for n in range(3)]
    lives += [closed(42000, back_s + 1, server=SECOND)] if back_s < 1030 else []
    events = [(at_s, "server-removed", f"{SECOND}:80"), (back_s, "server-added", f"{SECOND}:80")]
    scene = Scene(lives=lives, events=events, absent=[(SECOND, at_s, back_s)], until_s=1030.0)
    return by_id(scene.played(path)).get("removed-server-entries")


@pytest.mark.parametrize("back_s", [2000.0, 1010.0])
def test_entries_outlive_their_removed_server(tmp_path: Path, back_s: float) -> None:
    one = removed(tmp_path, 1005.0, back_s)
    assert one is not None
    assert one.severity == "warning"
    assert one.evidence.startswith(f"{SECOND}:80 on bal01: 3 entries stayed. ")


def test_a_server_that_was_removed_when_its_entries_had_expired_leaves_none(tmp_path: Path) -> None:
    assert removed(tmp_path, 1026.0) is None


def test_a_server_that_was_added_late_was_not_removed(tmp_path: Path) -> None:
    lives = [closed(41000 + n, 1004.0 + 0.2 * n, server=SECOND) for n in range(3)]
    scene = Scene(lives=lives, absent=[(SECOND, 0.0, 1003.0)], until_s=1010.0)
    assert "removed-server-entries" not in by_id(scene.played(tmp_path))


# weight-zero-still-served -------------------------------------------------------------------------


def quiet_from(since_s: float, to_s: float = 2000.0) -> Callable[[str, float], int]:
    return lambda server, at_s: 0 if server == SECOND and since_s <= at_s < to_s else 1


def test_a_server_of_weight_0_holds_old_entries_and_gets_new_ones(tmp_path: Path) -> None:
    lives = [opened(41000 + n, 1000.0 + 0.2 * n, server=SECOND) for n in range(6)]
    lives.append(opened(41999, 1004.9, server=SECOND))  # seen first as the weight is 0
    lives += [opened(42000 + n, 1006.0 + n, server=SECOND) for n in range(2)]  # by persistence
    scene = Scene(lives=lives, weight=quiet_from(1005.0), until_s=1015.0)
    one = by_id(scene.played(tmp_path))["weight-zero-still-served"]
    assert one.severity == "info"
    assert one.evidence == f"{SECOND}:80 on bal01: up to 9 entries, 2 of them created afterwards."


def test_what_it_gets_when_its_weight_is_back_is_not_made_after(tmp_path: Path) -> None:
    lives = [opened(41000 + n, 1000.0 + 0.2 * n, server=SECOND) for n in range(6)]
    lives += [opened(42000 + n, 1011.0 + n, server=SECOND) for n in range(3)]
    scene = Scene(lives=lives, weight=quiet_from(1005.0, 1010.0), until_s=1015.0)
    one = by_id(scene.played(tmp_path))["weight-zero-still-served"]
    assert one.evidence == f"{SECOND}:80 on bal01: up to 6 entries, 0 of them created afterwards."


def test_a_server_of_weight_0_without_entries_is_at_rest(tmp_path: Path) -> None:
    lives = [opened(40000, 1000.0)]
    scene = Scene(lives=lives, weight=quiet_from(0.0), until_s=1005.0)
    assert "weight-zero-still-served" not in by_id(scene.played(tmp_path))


def test_a_server_with_a_weight_may_hold_entries(tmp_path: Path) -> None:
    scene = Scene(lives=[opened(40000, 1000.0, server=SECOND)], until_s=1005.0)
    assert "weight-zero-still-served" not in by_id(scene.played(tmp_path))


# synced-copies ------------------------------------------------------------------------------------


def test_a_backup_that_holds_the_masters_entries(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.1 * n) for n in range(9)]
    copies = tuple(
        replace(
            life.held,
            states=((life.sent[-1].at_s + 2, life.held.states[-1][1]),),
            gone_s=life.held.gone_s + 2,
        )
        for life in lives[:7]
    )
    one = by_id(Scene(lives=lives, copies=copies, until_s=1030.0).played(tmp_path))["synced-copies"]
    assert one.severity == "info"
    assert one.evidence == "Entries whose packets passed another director: 7 on bal02."


def test_a_backup_with_nothing_or_with_entries_of_its_own_holds_no_copies(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.1 * n) for n in range(9)]
    own = replace(opened(50000, 1001.0).held, port=50001)
    for copies in ((), (own,)):
        scene = Scene(lives=lives, copies=copies, until_s=1030.0)
        found = by_id(scene.played(tmp_path / str(len(copies))))
        assert "synced-copies" not in found
        assert ("foreign-entries" in found) is bool(copies)


def test_an_entry_that_a_packet_in_mid_connection_made_is_no_copy() -> None:
    """With sloppy_tcp: of two entries one was there before any packet came by."""
    lives = pd.DataFrame({"entry": pd.NA, "flow": [0, 1], "appeared_ns": 5}, index=[0, 1])
    lives["first_packet_ns"] = pd.array([4, 9], dtype="Int64")
    other = SimpleNamespace(entries=pd.DataFrame({"flow": [0, 1]}))
    measured = (
        SimpleNamespace(
            director=SimpleNamespace(name="bal01"), tracked=Parted.of(lives[:0]), prediction=other
        ),
        SimpleNamespace(
            director=SimpleNamespace(name="bal02"), tracked=Parted.of(lives), prediction=None
        ),
    )
    found = synced_copies(cast("Figures", SimpleNamespace(measured=measured)))
    assert found is not None
    assert found.evidence == "Entries whose packets passed another director: 1 on bal02."


def test_a_director_alone_holds_no_copies(tmp_path: Path) -> None:
    found = by_id(Scene(lives=[closed(40000, 1000.0)], until_s=1025.0).played(tmp_path))
    assert "synced-copies" not in found
