"""From a run directory to the answer: two real runs, and what can be missing from one."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.analysis import analyse
from analyzer.errors import RecordingError
from analyzer.recording.directory import CAPTURE, MANIFEST, Recording, RecordingWriter
from analyzer.report import Analysis, to_json
from analyzer.wire.capture.files import frame_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).resolve().parents[2] / "data"
BURST, KILLED = DATA / "dr-burst-50", DATA / "dr-burst-killed"


def analysed(path: Path) -> Analysis:
    found = analyse(Recording.open(path))
    json.dumps(to_json(found), allow_nan=False)  # no NaN anywhere, whatever is missing
    return found


def record_offsets(content: bytes | bytearray) -> list[int]:
    """Where the records of a small pcap file begin."""
    (frames,) = frame_chunks(memoryview(bytes(content)))
    return [24 + int(start) - 16 for start in frames.start]  # what was read begins at the first


@pytest.fixture(scope="module")
def burst() -> Analysis:
    """50 requests at the lab, tcpfin 20, HZ 100."""
    return analysed(BURST)


@pytest.fixture(scope="module")
def killed() -> Analysis:
    """The same, ended with SIGKILL in the middle of the decay."""
    return analysed(KILLED)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the burst that a test may spoil; keywords set keys of its manifest."""

    def make(**changes: Any) -> Path:
        path = tmp_path / "run"
        shutil.copytree(BURST, path)
        manifest = json.loads((path / MANIFEST).read_text()) | changes
        (path / MANIFEST).write_text(json.dumps(manifest))
        return path

    return make


def test_every_request_of_the_burst_is_counted(burst: Analysis) -> None:
    assert (burst.requests.sent, burst.requests.succeeded, burst.requests.failed) == (50, 50, 0)


def test_the_master_held_25_and_25_and_the_backup_none(burst: Analysis) -> None:
    assert {peak.director: peak.inactive for peak in burst.peaks} == {
        "bal01": 50,
        "bal02": 0,
        None: 50,
    }
    master = next(table for table in burst.timeline.peaks if table.director == "bal01")
    assert [row.inactive for row in master.rows] == [25, 25]


def test_the_entries_ended_in_fin_wait_and_tcpfin_measures_what_is_configured(
    burst: Analysis,
) -> None:
    (row,) = burst.lifetimes
    assert (row.director, row.state, row.counted) == ("bal01", "FIN_WAIT", "inactive")
    assert (row.timeout_name, row.timeout_s, row.granule_s) == ("tcpfin", 20, 0.64)
    assert (row.n, row.n_expired) == (50, 50)
    assert row.timeout_measured_s is not None
    assert abs(row.timeout_measured_s.value - 20) <= row.timeout_measured_s.uncertainty <= 0.33
    assert row.lifetime_s is not None
    assert 20 - 0.15 < row.lifetime_s.min <= row.lifetime_s.max < 20.64 + 0.15


def test_what_was_predicted_is_what_was_polled(burst: Analysis) -> None:
    master = next(row for row in burst.agreement if row.director == "bal01")
    assert master.entries_observed == master.entries_predicted == 50
    assert master.state_matches == master.state_samples > 1000
    assert (master.active_max_error, master.inactive_max_error) == (0, 0)
    assert master.disagreement_polls == 0
    assert master.worst_expiry_error_s is not None
    assert master.worst_expiry_error_s < 0.2


def test_the_verdict_and_the_findings_say_so(burst: Analysis) -> None:
    assert "tcpfin governs" in burst.verdict
    assert "50 of 50" in burst.verdict
    ids = {one.id for one in burst.findings}
    assert ids == {"tcpfin-governs", "expires-late", "port-budget"}
    assert burst.not_measured == ()
    assert burst.ended_early == ()


def test_the_timeline_has_all_that_the_page_draws(burst: Analysis) -> None:
    line = burst.timeline
    assert len(line.request_ended_s) == len(line.connect_ms) == 50
    assert {name: len(marks) for name, marks in line.marks.items()} == {
        "SYN": 50,
        "FIN": 50,
        "RST": 0,
    }
    servers = {"192.168.10.21:80", "192.168.10.22:80"}
    assert {curve.real_server for curve in line.observed} == servers
    assert {curve.real_server for curve in line.predicted} == servers
    for curve in (*line.observed, *line.predicted):
        assert np.all(np.diff(curve.t_s) >= 0)
        assert curve.active[-1] == curve.inactive[-1] == 0
        assert len(curve.t_s) == len(curve.active) == len(curve.inactive)
    assert 20 < line.end_s < 30
    assert [event.kind for event in line.events] == ["burst-start", "burst-end"]


def test_a_run_that_was_killed_says_what_it_saw_and_what_it_did_not(killed: Analysis) -> None:
    assert killed.requests.succeeded == 50
    (row,) = killed.lifetimes
    assert (row.state, row.n, row.n_expired) == ("FIN_WAIT", 50, 0)
    assert row.lifetime_s is None
    assert row.timeout_measured_s is None
    assert any("killed" in gap.why for gap in killed.not_measured)
    assert next(row for row in killed.agreement if row.director == "bal01").state_samples > 100


def test_what_the_director_forwarded_is_not_taken_for_the_clients(killed: Analysis) -> None:
    """The bridge no longer knew the real servers' MACs and flooded the first two connections."""
    assert len(killed.timeline.marks["SYN"]) == 50


def test_what_the_kernel_said_of_its_table_is_in_the_answer(copy: Callable[..., Path]) -> None:
    directors = json.loads((BURST / MANIFEST).read_text())["directors"]
    status: dict[str, Any] = {"entries": 50, "buckets": 1024, "lfactor": -4, "empty_buckets": 974}
    status |= {"chains": {"1": 50}}
    directors["bal01"] |= {
        "kernel": "7.2.7",
        "conn_tab_size": 256,
        "entry_bytes": 288,
        "table_status": status | {"entries": 0, "chains": {}},
        "table_status_fullest": status,
        "table_status_at_end": None,
    }
    directors["bal01"]["sysctl"] |= {"conn_max": "1000"}
    found = to_json(analysed(copy(directors=directors)))["tables"][0]
    assert found["before"]["entries"] == 0
    assert found["fullest"] == status
    assert found["at_end"] is None
    keys = ("director", "buckets", "resizes", "conn_max", "entry_bytes")
    assert [found[key] for key in keys] == ["bal01", 256, True, 1000, 288]


def test_the_law_and_what_may_have_been_carried_back_are_in_the_answer(burst: Analysis) -> None:
    law = to_json(burst)["laws"][0]
    assert (law["director"], law["law"], law["assumed"]) == ("bal01", "6.1", False)
    assert any("ActiveConn" in line for line in law["since"])
    assert any("July 2026" in line for line in law["uncertain"])
    assert not any("resizes itself" in line for line in (*law["since"], *law["uncertain"]))


def test_a_table_that_no_kernel_reported_is_null(burst: Analysis) -> None:
    table = burst.tables[0]
    assert (table.resizes, table.conn_max, table.entry_bytes) == (False, None, None)
    assert (table.before, table.fullest, table.at_end) == (None, None, None)
    assert table.buckets == table.most_buckets or table.most_buckets is None


def test_the_same_recording_gives_the_same_answer_twice(burst: Analysis) -> None:
    def answer(analysis: Analysis) -> dict[str, Any]:
        return {key: value for key, value in to_json(analysis).items() if key != "timings_s"}

    assert answer(analysed(BURST)) == answer(burst)


def with_timeouts(copy: Callable[..., Path], source: str | None, tcpfin: int | None) -> Analysis:
    """The burst, of which 20 s was true, with another tcpfin in its manifest; None: none at all."""
    directors = json.loads((BURST / MANIFEST).read_text())["directors"]
    timeouts = {"tcp": 900, "tcpfin": tcpfin, "udp": 300} if tcpfin else None
    directors["bal01"] |= {"timeouts": timeouts, "timeouts_source": source}
    return analysed(copy(directors=directors))


def test_a_wrong_tcpfin_that_somebody_gave_is_not_used(copy: Callable[..., Path]) -> None:
    """The entries say 20 s: the assumption is dropped, and nobody else is blamed."""
    found = with_timeouts(copy, "--timeouts", 120)
    ids = {one.id: one.severity for one in found.findings}
    assert "not in agreement with the 120 s configured" in found.verdict
    assert ids["tcpfin-governs"] == ids["timeouts-contradicted"] == "warning"
    assert "prediction-differs" not in ids
    (row,) = found.lifetimes
    assert (row.timeout_s, row.timeout_source, row.timeout_told_s) == (20, "entries", 120)
    assert row.prediction_error_s is not None
    assert row.prediction_error_s.max < 0.15


def test_another_tcpfin_than_was_read_was_set_in_between(copy: Callable[..., Path]) -> None:
    found = with_timeouts(copy, "ipvsadm", 120)
    ids = {one.id: one for one in found.findings}
    assert "tcpfin 120 to 20 s between" in ids["timeout-changed-midway"].evidence
    assert "prediction-differs" not in ids
    (row,) = found.lifetimes
    assert (row.timeout_s, row.timeout_source, row.timeout_told_s) == (20, "entries", None)


def test_without_timeouts_the_entries_show_theirs_and_the_rest_is_assumed(
    copy: Callable[..., Path],
) -> None:
    found = with_timeouts(copy, None, None)
    (row,) = found.lifetimes
    assert (row.timeout_s, row.timeout_source) == (20, "entries")
    assert row.timeout_measured_s is not None
    assert "in agreement with the 20 s by the expire column" in found.verdict
    gaps = {gap.what: gap.why for gap in found.not_measured}
    assert "tcpfin is 20 s by the expire column" in gaps["configured timeouts of bal01"]
    assert "tcp 900 s, udp 300 s" in gaps["configured timeouts of bal01"]
    assert "prediction-differs" not in {one.id for one in found.findings}


def test_the_sources_of_timeouts_are_said(burst: Analysis) -> None:
    (row,) = burst.lifetimes
    assert (row.timeout_source, row.timeout_told_s) == ("ipvsadm", None)


def test_without_hz_nothing_false_is_claimed(copy: Callable[..., Path]) -> None:
    """The whole burst expired in one step of the wheel: that shows no HZ."""
    directors = json.loads((BURST / MANIFEST).read_text())["directors"]
    directors["bal01"] |= {"hz": None, "timer_phase_s": None}
    found = analysed(copy(directors=directors))
    (row,) = found.lifetimes
    assert row.lifetime_s is not None
    assert row.granule_s in (None, 0.64)
    measured = row.timeout_measured_s
    assert measured is None or abs(measured.value - 20) <= measured.uncertainty


def test_without_a_phase_it_is_inferred_from_the_expiries(copy: Callable[..., Path]) -> None:
    directors = json.loads((BURST / MANIFEST).read_text())["directors"]
    directors["bal01"] |= {"timer_phase_s": None}
    found = analysed(copy(directors=directors))
    (row,) = found.lifetimes
    assert row.timeout_measured_s is not None
    assert abs(row.timeout_measured_s.value - 20) <= row.timeout_measured_s.uncertainty < 0.5
    master = next(one for one in found.agreement if one.director == "bal01")
    assert master.worst_expiry_error_s is not None
    assert master.worst_expiry_error_s < 0.2


def test_without_a_capture_the_requests_stand_for_the_packets(copy: Callable[..., Path]) -> None:
    path = copy()
    (path / CAPTURE).unlink()
    found = analysed(path)
    (row,) = found.lifetimes
    assert (row.state, row.n, row.n_expired) == ("FIN_WAIT", 50, 50)
    assert row.prediction_error_s is None
    assert row.timeout_measured_s is not None
    assert abs(row.timeout_measured_s.value - 20) <= row.timeout_measured_s.uncertainty
    assert found.timeline.predicted == ()
    assert found.timeline.marks == {}


def test_a_capture_that_is_none_is_named_and_done_without(copy: Callable[..., Path]) -> None:
    path = copy()
    (path / CAPTURE).write_bytes(b"nothing of the kind, but long enough")
    found = analysed(path)
    assert any("pcap" in gap.why for gap in found.not_measured)
    assert found.lifetimes[0].n == 50


def test_a_capture_cut_off_mid_packet_is_read_up_to_there(copy: Callable[..., Path]) -> None:
    path = copy()
    content = (path / CAPTURE).read_bytes()
    (path / CAPTURE).write_bytes(content[: len(content) // 2 + 7])
    found = analysed(path)
    assert 0 < len(found.timeline.marks["SYN"]) < 50
    (gap,) = [gap for gap in found.not_measured if gap.what.endswith("bytes of the capture")]
    assert "cut off" in gap.why


def test_a_rotated_capture_is_one_capture(copy: Callable[..., Path], burst: Analysis) -> None:
    path = copy()
    content = (path / CAPTURE).read_bytes()
    begins = record_offsets(content)
    cuts = [24, *(begins[row] for row in (100, 101, 250)), len(content)]
    for number, (begin, end) in enumerate(pairwise(cuts)):
        name = f"capture-{number:05d}.pcap" if number else CAPTURE
        (path / name).write_bytes(content[:24] + content[begin:end])
    found = analysed(path)
    assert found.lifetimes == burst.lifetimes
    assert found.agreement == burst.agreement
    (path / "capture-00001.pcap").write_bytes(b"spoilt, and longer than a header")
    (gap,) = [gap for gap in analysed(path).not_measured if "capture-00001" in gap.what]
    assert "neither pcap nor pcapng" in gap.why


def test_packets_that_no_prediction_can_use_are_named(copy: Callable[..., Path]) -> None:
    path = copy()
    content = bytearray((path / CAPTURE).read_bytes())
    begins = record_offsets(content)
    later_fragment, no_header = (begins[row] + 16 + 14 for row in (30, 31))
    content[later_fragment + 6 : later_fragment + 8] = b"\x00\x10"
    content[no_header] = 0x41
    (path / CAPTURE).write_bytes(content)
    gaps = {gap.what: gap.why for gap in analysed(path).not_measured}
    assert "without ports" in gaps["captured packets, fragments: 1"]
    assert "contradicts itself" in gaps["captured packets, malformed: 1"]


@pytest.mark.parametrize("table", ["requests", "services", "entries", "polls", "events"])
def test_any_table_may_be_missing(table: str, copy: Callable[..., Path]) -> None:
    path = copy()
    shutil.rmtree(path / table)
    assert analysed(path).verdict.endswith(".")


def test_a_backup_that_lists_servers_without_a_port_and_has_no_entry_is_no_fault(
    copy: Callable[..., Path],
) -> None:
    path = copy()
    for part in (path / "services").iterdir():
        rows = pq.read_table(part, partitioning=None)
        place = rows.schema.get_field_index("real_port")
        portless = pa.array([0] * len(rows), rows.schema.field(place).type)
        pq.write_table(rows.set_column(place, rows.schema.field(place), portless), part)
    master = next(rows for rows in analysed(path).timeline.peaks if rows.director == "bal01")
    assert {row.real_server: row.inactive for row in master.rows} == {
        "192.168.10.21": 25,
        "192.168.10.22": 25,
    }


def test_a_part_that_cannot_be_read_is_listed(copy: Callable[..., Path]) -> None:
    path = copy()
    next((path / "services").iterdir()).write_bytes(b"half a part")
    found = analysed(path)
    assert any("services/" in gap.why for gap in found.not_measured)


def test_a_plain_load_test_has_requests_and_nothing_else(copy: Callable[..., Path]) -> None:
    path = copy(directors={}, not_measured=[{"what": "entries", "why": "no director"}])
    for table in ("services", "entries", "polls"):
        shutil.rmtree(path / table)
    (path / CAPTURE).unlink()
    found = analysed(path)
    assert found.requests.succeeded == 50
    assert (found.peaks, found.lifetimes, found.agreement) == ((), (), ())
    assert [(gap.what, gap.why) for gap in found.not_measured] == [("entries", "no director")]


def test_a_run_that_sent_nothing_has_an_answer_too(tmp_path: Path) -> None:
    service = {"protocol": "TCP", "vip": "192.168.10.2", "port": 80}
    RecordingWriter(tmp_path, {"service": service, "directors": {}}).close("completed")
    found = analysed(tmp_path)
    assert found.requests.sent == 0
    assert found.requests.total_ms is None


@pytest.mark.parametrize(
    "changes",
    [
        {"service": 7},
        {"service": {}},
        {"service": {"vip": "not an address", "port": 80}},
        {"service": {"vip": "192.168.10.2", "port": "eighty"}},
        {"directors": [1]},
        {"directors": {"bal01": {"hz": "many"}}},
    ],
)
def test_a_manifest_that_no_recorder_wrote_is_one_clear_error(
    changes: dict[str, Any], copy: Callable[..., Path]
) -> None:
    path = copy(**changes)
    with pytest.raises(RecordingError, match=r"run\.json"):
        analyse(Recording.open(path))
