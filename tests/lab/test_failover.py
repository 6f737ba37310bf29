"""The exercise by one command, and a master that dies under load: two runs on one real lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording
from tests.lab.failing_over import FailedOver, failed_over

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.lab.fixture import MakeLab

pytestmark = pytest.mark.alone

RATE = 50


@pytest.fixture(scope="module")
def exercise(make_ipvs_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> FailedOver:
    """In a lab whose tables are empty."""
    directory = tmp_path_factory.mktemp("exercise")
    flags = ("--exercise", "--before", "0.5s", "--after", "6s", "--tail", "6s")
    return failed_over(make_ipvs_lab, directory, *flags)


def test_the_exercise_reads_25_and_25_on_either_director(exercise: FailedOver) -> None:
    document, recording = exercise.document, Recording.open(exercise.directory)
    assert (document["requests"]["sent"], document["requests"]["failed"]) == (100, 0)
    services = recording.table("services")
    for director in ("bal01", "bal02"):
        own = services[services["director"] == director]
        most = own.groupby("real_server")["inactive"].max()
        assert list(most) == [25, 25], director
    assert (document["failover"]["old_master"], document["failover"]["new_master"]) == (
        "bal01",
        "bal02",
    )
    events = recording.table("events")
    log = events[events["kind"] == "keepalived"]
    text = " ".join(log["host"] + ": " + log["detail"])
    assert "bal01: (VI_1) Entering FAULT STATE" in text
    assert "bal02: (VI_1) Entering MASTER STATE" in text


CLOCKS_S = 0.1
"""What a client's and a director's clock may differ by; a fault is in effect within it too."""


def failed_though_the_vip_was_held(directory: Path, near_s: float) -> list[str]:
    """Errors of requests that began after the fault and not when the VIP came back, or so near.

    A director without an entry resets what is under way; what begins while nobody holds the VIP
    waits for it.
    """
    recording = Recording.open(directory)
    requests, events = recording.table("requests"), recording.table("events")
    (fault,) = events.loc[events["kind"] == "fault", "at"]
    masters = events[events["detail"].str.contains("Entering MASTER STATE", regex=False)]
    (back,) = masters.loc[masters["host"] == "bal01", "at"]
    since_s = (requests["started"] - fault).dt.total_seconds()
    way_back_s = (requests["started"] - back).dt.total_seconds()
    failed = requests["error"].notna() & (since_s > near_s) & (way_back_s.abs() > near_s)
    pairs = zip(requests.loc[failed, "error"], since_s[failed], strict=True)
    return [f"{error} at {s:+.3f} s" for error, s in pairs]


def test_clients_are_out_for_the_interval_less_the_age(
    exercise: FailedOver, tmp_path: Path
) -> None:
    flags = ("--fault", "bal01:link-down", "-q", str(RATE), "--before", "2s", "--tail", "7s")
    run = failed_over(lambda: exercise.lab, tmp_path, *flags, "--after", "8s")
    figures = run.document["failover"]
    assert figures["how"] == "silence"
    assert figures["outage_s"] == pytest.approx(
        figures["predicted_outage_s"], abs=run.delays.allowed_s(0.1)
    )
    assert failed_though_the_vip_was_held(run.directory, run.delays.allowed_s(CLOCKS_S)) == []
    assert abs(figures["late"] - RATE * figures["outage_s"]) <= max(0.03 * figures["late"], 2)
    in_flight = figures["in_flight"].values()
    assert sum(kind["reset"] for kind in in_flight) == 30  # no sync daemon
    assert figures["failback"]["master_again_s"] is not None  # the link is up again
    assert figures["failback"]["gap_s"] < 1
