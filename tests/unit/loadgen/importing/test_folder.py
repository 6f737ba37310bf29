"""``analyzer import`` of recordings made elsewhere: what is read, and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pandas.testing import assert_frame_equal

from analyzer.recording.directory import Recording
from loadgen.commands import exit_code_of
from loadgen.commands.analyzer import group
from loadgen.errors import UsageProblem
from tests.importing import import_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    Analyzer = Callable[..., tuple[int, str, str]]

TRUTH = Path(__file__).resolve().parents[3] / "data" / "ground-truth"
RESET, REMOVED = TRUTH / "dr-client-reset", TRUTH / "dr-server-removed-and-back"
HZ250 = TRUTH / "dr-hz250-client-close-tcpfin30"
LOG = "samples.jsonl.gz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording that a test may spoil."""
    path = tmp_path / "source"
    shutil.copytree(RESET, path)
    return path


@pytest.fixture
def analyzer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Analyzer:
    """Run the script with some words: exit code, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["analyzer", *map(str, words)])
        code = exit_code_of(group)
        return code, *capsys.readouterr()

    return call


def imported(source: Path) -> Recording:
    import_folder([source], source.parent / "run")
    return Recording.open(source.parent / "run")


def log_of(folder: Path) -> list[bytes]:
    return gzip.decompress((folder / LOG).read_bytes()).splitlines(keepends=True)


def rewrite(folder: Path, lines: list[bytes], name: str = "samples.jsonl") -> None:
    (folder / LOG).unlink(missing_ok=True)
    (folder / name).write_bytes(b"".join(lines))


def remeta(folder: Path, **changes: Any) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | changes))


# What is read -------------------------------------------------------------------------------------


def test_every_poll_of_the_log_is_one_of_entries(folder: Path) -> None:
    run = imported(folder)
    polls = run.table("polls")
    assert len(polls) == len(log_of(folder)) == 48
    assert set(polls["what"]) == {"entries"}
    assert (run.table("entries")["change"] == "appeared").sum() == 50
    assert (run.path / "capture.pcap").read_bytes() == (RESET / "capture.pcap").read_bytes()


def test_the_manifest_says_what_meta_said(folder: Path) -> None:
    manifest = imported(folder).manifest.raw
    assert manifest["command"] == "import"
    assert manifest["ended"] == "completed"
    assert manifest["service"] == {"protocol": "TCP", "vip": "192.168.10.2", "port": 80}
    assert manifest["forwarding"] == "dr"
    (facts,) = manifest["directors"].values()
    assert facts["hz"] == 100
    assert facts["timeouts"] == {"tcp": 900.0, "tcpfin": 120.0, "udp": 300.0}
    assert facts["sysctl"]["conn_reuse_mode"] == "1"
    assert facts["macs"] == ["02:00:00:00:00:11"]
    assert facts["conn_tab_size"] == 4096


def test_the_directors_clock_is_put_on_the_captures(folder: Path) -> None:
    """``offset_s`` is director minus capture: its polls were that much earlier, or later."""
    remeta(folder, clock={"offset_s_before": 100.25, "offset_s_after": 100.25})
    polls = imported(folder).table("polls")
    first_t = json.loads(log_of(folder)[0])["t"]
    assert polls["at"].iloc[0].value == pytest.approx((first_t - 100.25) * 1e9, abs=2000)


def test_a_clock_that_drifted_is_put_right_poll_by_poll(folder: Path) -> None:
    remeta(folder, clock={"offset_s_before": 0.0, "offset_s_after": 0.5})
    at = imported(folder).table("polls")["at"]
    times = [json.loads(line)["t"] for line in log_of(folder)]
    off_s = [when.value / 1e9 - t for when, t in zip(at, times, strict=True)]
    assert off_s[0] == pytest.approx(0, abs=1e-5)
    assert off_s[-1] == pytest.approx(-0.5, abs=1e-5)
    middle = (times[20] - times[0]) / (times[-1] - times[0])
    assert off_s[20] == pytest.approx(-0.5 * middle, abs=1e-5)


def test_the_phase_of_the_timers_is_taken_where_it_is_given(tmp_path: Path) -> None:
    shutil.copytree(HZ250, tmp_path / "source")
    (facts,) = imported(tmp_path / "source").manifest.raw["directors"].values()
    assert (facts["hz"], facts["timer_phase_s"]) == (250, 0.0)


def test_what_was_done_meanwhile_is_an_event(tmp_path: Path) -> None:
    shutil.copytree(REMOVED, tmp_path / "source")
    events = imported(tmp_path / "source").table("events")
    assert events["kind"].tolist() == ["server-removed", "server-added"]
    assert set(events["detail"]) == {"192.168.10.22:80"}


@pytest.mark.parametrize("name", ["samples.jsonl", "polls.ndjson", "other.jsonl"])
def test_a_plain_log_is_read_as_a_gzipped_one(folder: Path, name: str) -> None:
    rewrite(folder, log_of(folder), name)
    assert len(imported(folder).table("polls")) == 48


def test_files_may_be_named_one_by_one(folder: Path, tmp_path: Path) -> None:
    import_folder([folder / LOG, folder / "capture.pcap"], tmp_path / "run")
    run = Recording.open(tmp_path / "run")
    assert len(run.table("polls")) == 48
    assert list(run.captures()) == ["capture.pcap"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("capture.pcap", "no capture"),
        (LOG, "no poll log"),
        ("meta.json", "requests and their latencies"),
    ],
)
def test_any_of_the_three_may_be_missing(folder: Path, missing: str, said: str) -> None:
    (folder / missing).unlink()
    gaps = imported(folder).manifest.raw["not_measured"]
    assert any(said in gap["what"] + gap["why"] for gap in gaps)


def test_a_log_of_services_alone_polled_no_entries(folder: Path) -> None:
    polls = [json.loads(line) for line in log_of(folder)]
    for poll in polls:
        del poll["connections"]
    rewrite(folder, [json.dumps(poll).encode() + b"\n" for poll in polls])
    run = imported(folder)
    assert set(run.table("polls")["what"]) == {"services"}
    assert len(run.table("entries")) == 0
    assert len(run.table("services")) > 0


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_last_line_that_was_cut_off_is_left_out(folder: Path, kept: int) -> None:
    lines = log_of(folder)
    rewrite(folder, [*lines[:10], lines[10][:kept]])
    assert len(imported(folder).table("polls")) == 10


def test_blank_lines_are_no_polls(folder: Path) -> None:
    lines = log_of(folder)
    rewrite(folder, [b"\n", lines[0], b"  \n", *lines[1:], b"\n"])
    assert len(imported(folder).table("polls")) == 48


def test_doubts_about_a_text_are_reported_and_the_rest_is_kept(folder: Path) -> None:
    poll = json.loads(log_of(folder)[20])
    poll["connections"] += "TCP no such line at all\n"
    rewrite(folder, [*log_of(folder)[:20], json.dumps(poll).encode() + b"\n"])
    doubts = import_folder([folder], folder.parent / "run")
    assert doubts
    assert (Recording.open(folder.parent / "run").table("entries")["change"] == "appeared").any()


# What is refused: one line, exit 2 ----------------------------------------------------------------


def assert_refused(found: tuple[int, str, str], *words: str) -> None:
    code, out, err = found
    assert code == 2, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("analyzer")
    assert "fault of ours" not in line
    for word in words:
        assert word in line


BAD_LINES = [
    b"not json\n",
    b"[1, 2]\n",
    b"7\n",
    b"null\n",
    b'{"services": ""}\n',
    b'{"t": "soon", "services": ""}\n',
    b'{"t": null}\n',
    b'{"t": [1]}\n',
    b"\xff\xfe\n",
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_is_named_by_its_number(folder: Path, analyzer: Analyzer, bad: bytes) -> None:
    lines = log_of(folder)
    rewrite(folder, [*lines[:5], bad, *lines[5:]])
    assert_refused(analyzer("import", folder, "-o", folder.parent / "run"), "line 6")


BAD_TIMES = [b"NaN", b"9" * 400, b"Infinity", b"-Infinity", b"1e300", b"-1e18"]


@pytest.mark.parametrize("t", BAD_TIMES)
def test_a_time_that_is_none_is_a_bad_line(folder: Path, analyzer: Analyzer, t: bytes) -> None:
    lines = log_of(folder)
    rewrite(folder, [*lines[:5], b'{"t": %s, "services": ""}\n' % t, *lines[5:]])
    assert_refused(analyzer("import", folder, "-o", folder.parent / "run"), "line 6")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[1]",
        "7",
        "[" * 100_000,
        '{"clock": 7}',
        '{"clock": {"offset_s_before": "late"}}',
        '{"timeouts": {"tcp": 900}}',
        '{"timeouts": {"tcp": 900, "tcpfin": "x", "udp": 1}}',
        '{"timeouts": 7}',
        '{"sysctl": [1]}',
        '{"director": "bal01"}',
        '{"jiffies": 7}',
        '{"jiffies": {"t_boot_value": "x"}}',
        '{"commands": 7}',
        '{"commands": [7]}',
        '{"commands": [{"cmd": "ipvsadm -C"}]}',
    ],
)
def test_a_meta_file_that_is_none_is_refused(folder: Path, analyzer: Analyzer, text: str) -> None:
    (folder / "meta.json").write_text(text)
    assert_refused(analyzer("import", folder, "-o", folder.parent / "run"), "meta.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"hz": "fast"},
        {"hz": 0},
        {"hz": 250.0},
        {"vip": "nowhere"},
        {"vip": 7},
        {"port": None},
        {"port": "http"},
        {"director": {"mac": 7}},
        {"clock": {"offset_s_before": float("nan")}},
    ],
)
def test_facts_in_it_that_cannot_be_are_refused_when_imported_or_do_no_harm(
    folder: Path, analyzer: Analyzer, changes: dict[str, Any]
) -> None:
    """Not hours later, when the run directory is analysed."""
    remeta(folder, **changes)
    run = folder.parent / "run"
    found = analyzer("import", folder, "-o", run)
    if found[0] == 0:
        assert analyzer("report", run, "--json")[0] == 0
    else:
        assert_refused(found, "meta.json")


def test_a_folder_with_nothing_in_it_is_refused(tmp_path: Path, analyzer: Analyzer) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(analyzer("import", tmp_path / "empty", "-o", tmp_path / "run"), "capture")


def test_a_path_that_is_not_there_is_refused(tmp_path: Path, analyzer: Analyzer) -> None:
    assert_refused(analyzer("import", tmp_path / "none", "-o", tmp_path / "run"), "none")


def test_two_logs_of_the_same_time_are_refused(folder: Path, analyzer: Analyzer) -> None:
    shutil.copy(folder / LOG, folder / "second")
    refused = analyzer("import", folder, "-o", folder.parent / "run")
    assert_refused(refused, "covers the same time")


def test_a_run_directory_is_not_written_over(folder: Path, analyzer: Analyzer) -> None:
    run = folder.parent / "run"
    assert analyzer("import", folder, "-o", run)[0] == 0
    assert_refused(analyzer("import", folder, "-o", run), "recording already")


@pytest.mark.parametrize("content", [b"not gzip at all", b"\x1f\x8b\x08garbage" + bytes(20)])
def test_a_log_that_is_not_gzip_is_refused(
    folder: Path, analyzer: Analyzer, content: bytes
) -> None:
    (folder / LOG).write_bytes(content)
    assert_refused(analyzer("import", folder, "-o", folder.parent / "run"), LOG)


def test_a_gzipped_log_that_was_cut_off_gives_the_polls_before(folder: Path) -> None:
    content = (folder / LOG).read_bytes()
    (folder / LOG).write_bytes(content[: len(content) // 2])
    assert 0 < len(imported(folder).table("polls")) < 48


def test_a_log_without_a_poll_is_refused(folder: Path, analyzer: Analyzer) -> None:
    rewrite(folder, [])
    assert_refused(analyzer("import", folder, "-o", folder.parent / "run"), "samples.jsonl")


# End to end ---------------------------------------------------------------------------------------


def test_import_then_report(folder: Path, analyzer: Analyzer) -> None:
    run = folder.parent / "run"
    code, out, err = analyzer("import", folder, "-o", run)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == str(run)
    code, out, _ = analyzer("report", run, "--json")
    assert code == 0
    (document,) = out.splitlines()
    found = json.loads(document)
    (row,) = found["lifetimes"]
    assert (row["state"], row["timeout_s"], row["n"], row["n_expired"]) == ("CLOSE", 10, 50, 50)
    (agreement,) = found["agreement"]
    assert agreement["state_matches"] == agreement["state_samples"] > 1000
    assert (run / "report.html").exists()


def test_a_capture_that_is_none_is_said_in_the_report(folder: Path, analyzer: Analyzer) -> None:
    (folder / "capture.pcap").write_bytes(b"no capture, though it says so")
    run = folder.parent / "run"
    assert analyzer("import", folder, "-o", run)[0] == 0
    code, out, _ = analyzer("report", run, "--json")
    assert code == 0
    assert any("pcap" in gap["why"] for gap in json.loads(out)["not_measured"])


def test_a_capture_alone_is_enough_for_a_prediction(folder: Path, analyzer: Analyzer) -> None:
    run = folder.parent / "run"
    assert analyzer("import", folder / "capture.pcap", "-o", run)[0] == 0
    code, out, _ = analyzer("report", run, "--json")
    assert code == 0
    (row,) = json.loads(out)["lifetimes"]
    assert (row["state"], row["n"], row["n_expired"], row["lifetime_s"]) == ("CLOSE", 50, 0, None)


def test_changes_written_at_once_are_those_written_poll_by_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "TCP C0A80A01 {:04X} 0A000001 0050 C0A80001 0050 ESTABLISHED     899\n"
    polls = [
        {"t": 1e9 + number, "services": "", "connections": line.format(number) * (number % 3 > 0)}
        for number in range(30)
    ]
    log = tmp_path / "polls.jsonl"
    log.write_text("".join(f"{json.dumps(poll)}\n" for poll in polls))
    tables = []
    for rows in (1, 4, 1000):
        monkeypatch.setattr("loadgen.importing.recorded_log._ROWS_WRITTEN", rows)
        import_folder([log], tmp_path / str(rows))
        tables.append(Recording.open(tmp_path / str(rows)).table("entries"))
    assert len(tables[0]) > 30
    for table in tables[1:]:
        assert_frame_equal(table, tables[0])


def test_a_poll_at_an_instant_that_no_recording_can_hold_is_refused_by_its_number(
    folder: Path,
) -> None:
    lines = log_of(folder)
    lines[5] = json.dumps(json.loads(lines[5]) | {"t": 5_832_795_838.5}).encode() + b"\n"
    rewrite(folder, lines)
    with pytest.raises(UsageProblem, match=r"^poll 6 of the log: .*expected one from 1970 to 2116"):
        imported(folder)
    assert not (folder.parent / "run").exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("offset_s", [1e300, -1e12, float("inf"), float("nan")])
def test_an_absurd_offset_of_the_clocks_is_refused(
    folder: Path, when: str, offset_s: float
) -> None:
    remeta(folder, clock={"offset_s_before": 0.1, f"offset_s_{when}": offset_s})
    with pytest.raises(UsageProblem, match=r"meta\.json: .*clock: .*expected"):
        imported(folder)
