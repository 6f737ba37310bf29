"""The truth: recordings of a real kernel, imported, analysed, and held to what it did.

Each folder of ``tests/data/ground-truth`` says under ``expected`` in its ``meta.json`` what the
kernel was measured to do. What stands there was not made by this program.
"""

from __future__ import annotations

import gzip
import json
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from analyzer.report import to_json
from tests.importing import import_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.report import Analysis
    from analyzer.results import Lifetime

TRUTH = Path(__file__).resolve().parents[2] / "data" / "ground-truth"
NAMES = sorted(path.name for path in TRUTH.iterdir())
MOST_OFF_S = 0.15

every_recording = pytest.mark.parametrize("name", NAMES)


def meta_of(name: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((TRUTH / name / "meta.json").read_text())
    return meta


def expected(name: str) -> list[dict[str, Any]]:
    """What the kernel did, one group of entries each."""
    found: list[dict[str, Any]] = meta_of(name)["expected"]["findings"]
    return found


def analysed(source: Path) -> Analysis:
    """A folder imported and analysed; the run directory is not kept."""
    with TemporaryDirectory() as directory:
        import_folder([source], Path(directory) / "run")
        found = analyse(Recording.open(Path(directory) / "run"))
    json.dumps(to_json(found), allow_nan=False)
    return found


@cache
def whole(name: str) -> Analysis:
    return analysed(TRUTH / name)


Group = tuple[str, float | None]
"""The state that entries ended in, and the timeout that they waited, seconds."""


def rows_by_group(analysis: Analysis) -> dict[Group, Lifetime]:
    rows = {(row.state, row.timeout_s): row for row in analysis.lifetimes}
    assert len(rows) == len(analysis.lifetimes)
    return rows


def group_of(found: dict[str, Any]) -> Group:
    return found["state_before_expiry"], found["governing_timeout"]["seconds"]


def ended_by_reuse(name: str) -> int:
    """Entries that a SYN from the same port ended: the next one was scheduled afresh, by rr."""
    ports: list[list[dict[str, Any]]] = meta_of(name).get("reuse") or []
    return sum(first["srv"] != then["srv"] for port in ports for first, then in pairwise(port))


def test_the_recordings_are_there() -> None:
    assert len(NAMES) == 19


@every_recording
def test_every_state_polled_is_the_one_predicted(name: str) -> None:
    (found,) = whole(name).agreement
    assert found.state_matches == found.state_samples > 600
    total = meta_of(name)["expected"]["entries_total"] + ended_by_reuse(name)
    assert found.entries_observed == found.entries_predicted == total


@every_recording
def test_every_expiry_is_predicted(name: str) -> None:
    (found,) = whole(name).agreement
    assert found.worst_expiry_error_s is not None
    assert found.worst_expiry_error_s < MOST_OFF_S
    for row in whole(name).lifetimes:
        assert row.prediction_error_s is not None
        assert row.prediction_error_s.max < MOST_OFF_S
        assert abs(row.prediction_error_s.mean) < 0.05


@every_recording
def test_lifetimes_are_those_that_were_measured(name: str) -> None:
    rows = rows_by_group(whole(name))
    assert set(rows) == {group_of(group) for group in expected(name)}
    for group in expected(name):
        row = rows[group_of(group)]
        measured = group["measured_lifetime_after_last_packet_s"]
        assert (row.n, row.n_expired) == (group["n"], group["n"])
        assert row.timeout_name == group["governing_timeout"]["name"].split()[0]
        assert row.counted == {"ActiveConn": "active", "InActConn": "inactive"}[group["counted_as"]]
        assert row.granule_s == pytest.approx(group["expiry_granule_s"])
        assert row.lifetime_s is not None
        assert row.lifetime_s.mean == pytest.approx(measured["mean"], abs=0.05)
        assert row.lifetime_s.min == pytest.approx(measured["min"], abs=0.05)
        assert row.lifetime_s.max == pytest.approx(measured["max"], abs=0.05)
        assert row.lifetime_s.uncertainty <= 0.1


@every_recording
def test_the_timeout_itself_is_measured(name: str) -> None:
    for row in whole(name).lifetimes:
        assert row.timeout_measured_s is not None
        assert row.timeout_s is not None
        off_s = abs(row.timeout_measured_s.value - row.timeout_s)
        assert off_s <= row.timeout_measured_s.uncertainty
        assert row.timeout_measured_s.uncertainty < (row.granule_s or 0) / 2


@every_recording
def test_the_curves_are_off_by_nothing(name: str) -> None:
    (found,) = whole(name).agreement
    assert (found.active_max_error, found.inactive_max_error) == (0, 0)
    assert found.disagreement_polls == 0


@every_recording
def test_the_curves_polled_are_those_that_the_kernel_showed(name: str) -> None:
    """``expected`` tells the counters, both summed, from the first poll on, to 10 ms."""
    observed = whole(name).timeline.observed
    polled_s = np.unique(np.concatenate([curve.t_s for curve in observed]))
    for at_s, *counts in meta_of(name)["expected"]["curve_t_active_inactive"]:
        if not counts:
            continue  # left out there, for shortness
        poll_s = polled_s[polled_s <= polled_s[0] + at_s + 0.02].max()
        listed = [(curve, curve.t_s == poll_s) for curve in observed]  # a removed server is not
        summed = [
            int(sum(getattr(curve, kind)[now].sum() for curve, now in listed))
            for kind in ("active", "inactive")
        ]
        assert summed == counts, at_s


@every_recording
def test_the_peaks_are_those_that_the_kernel_showed(name: str) -> None:
    expectation = meta_of(name)["expected"]
    assert [(peak.active, peak.inactive) for peak in whole(name).peaks] == [
        (expectation["peak_active"], expectation["peak_inactive"])
    ] * 2


@every_recording
def test_the_verdict_says_whether_tcpfin_governs(name: str) -> None:
    states = {group["state_before_expiry"] for group in expected(name)}
    verdict = whole(name).verdict
    assert ("tcpfin governs" in verdict) is ("FIN_WAIT" in states)
    ids = {finding.id for finding in whole(name).findings}
    assert ("tcpfin-governs" in ids) is ("FIN_WAIT" in states)
    without_effect = "FIN_WAIT" not in states and bool(states & {"TIME_WAIT", "CLOSE"})
    assert ("tcpfin-has-no-effect" in ids) is without_effect
    assert "prediction-differs" not in ids


@every_recording
def test_only_a_port_used_again_ended_entries_before_their_time(name: str) -> None:
    early = whole(name).ended_early
    assert sum(row.n for row in early) == ended_by_reuse(name)
    assert {row.cause for row in early} <= {"port-reuse"}


# With parts missing -------------------------------------------------------------------------------


def without_capture(folder: Path) -> None:
    (folder / "capture.pcap").unlink()


def without_entries(folder: Path) -> None:
    """A log of the services alone."""
    path = folder / "samples.jsonl.gz"
    polls = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for poll in polls:
        del poll["connections"]
    path.write_bytes(gzip.compress("".join(json.dumps(poll) + "\n" for poll in polls).encode()))


def without_log(folder: Path) -> None:
    (folder / "samples.jsonl.gz").unlink()


def without(*keys: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "meta.json"
        meta = json.loads(path.read_text())
        for key in keys:
            meta.pop(key, None)
        path.write_text(json.dumps(meta))

    return change


def without_meta(folder: Path) -> None:
    (folder / "meta.json").unlink()


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


MISSING: dict[str, Callable[[Path], None]] = {
    "capture": without_capture,
    "entries": without_entries,
    "log": without_log,
    "capture and entries": both(without_capture, without_entries),
    "timeouts": without("timeouts"),
    "timeouts and capture": both(without("timeouts"), without_capture),
    "hz": without("hz", "jiffies"),
    "phase": without("jiffies"),
    "hz and capture": both(without("hz", "jiffies"), without_capture),
    "hz and timeouts": both(without("hz", "jiffies", "timeouts")),
    "macs": without("director", "client_mac", "server_macs"),
    "forwarding": without("forwarding"),
    "vip": without("vip", "port"),
    "sysctl": without("sysctl"),
}


SOME = [
    "dr-client-close-tcpfin10",
    "dr-client-reset",
    "dr-hz250-client-close-tcpfin30",
    "dr-server-removed-and-back",
    "nat-client-close-tcpfin10",
    "nat-half-open",
]
some_recordings = pytest.mark.parametrize("name", SOME)


@cache
def spoilt(name: str, missing: str) -> Analysis:
    """A recording analysed without a part of it."""
    with TemporaryDirectory() as directory:
        folder = Path(directory) / name
        shutil.copytree(TRUTH / name, folder)
        MISSING[missing](folder)
        return analysed(folder)


@pytest.mark.parametrize("missing", MISSING)
@some_recordings
def test_with_a_part_missing_nothing_false_is_claimed(name: str, missing: str) -> None:
    found = spoilt(name, missing)
    groups = {group["state_before_expiry"]: group for group in expected(name)}
    truly = meta_of(name)["timeouts"]
    for row in found.lifetimes:
        if row.lifetime_s is not None and missing != "capture and entries":
            assert row.n == groups[row.state]["n"]
        if row.timeout_s is not None and row.timeout_name != "fixed":
            assert row.timeout_s == truly[row.timeout_name]
        if row.granule_s is not None and row.state in groups:
            assert row.granule_s == pytest.approx(groups[row.state]["expiry_granule_s"])
        measured = row.timeout_measured_s
        if measured is not None and row.state in groups:
            seconds = groups[row.state]["governing_timeout"]["seconds"]
            assert abs(measured.value - seconds) <= measured.uncertainty
    governed = "tcpfin governs" in found.verdict
    assert not governed or "FIN_WAIT" in groups
    assert found.ended_early == ()


@pytest.mark.parametrize("missing", MISSING)
@some_recordings
def test_what_is_missing_is_said(name: str, missing: str) -> None:
    said = " ".join(f"{gap.what}: {gap.why}" for gap in spoilt(name, missing).not_measured)
    words = {
        "capture": "no capture",
        "log": "no poll log",
        "capture and entries": "no capture",
        "timeouts": "timeouts of director",
        "timeouts and capture": "timeouts of director",
        "hz and timeouts": "timeouts of director",
        "hz and capture": "timer lateness on director",
    }
    assert words.get(missing, "requests and their latencies") in said


@pytest.mark.parametrize("missing", ["phase", "hz", "macs", "forwarding", "vip", "sysctl"])
@some_recordings
def test_what_the_recording_itself_tells_is_not_needed(name: str, missing: str) -> None:
    """Who forwards, the service, and the phase of the timers are all seen on the way."""
    found = spoilt(name, missing)
    (agreement,) = found.agreement
    assert agreement.state_matches == agreement.state_samples > 1000
    assert {row.state: row.n for row in found.lifetimes} == {
        row.state: row.n for row in whole(name).lifetimes
    }
    if missing != "hz":
        assert agreement.worst_expiry_error_s is not None
        assert agreement.worst_expiry_error_s < 0.3
