"""``analyzer report FILE...``: a run is made of files, beside them or nowhere."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.errors import RecordingError
from analyzer.recording.spill import spilled
from analyzer.wire.capture.files import frame_chunks
from analyzer.wire.packets import read_packets
from tests.unit.analyzer.builders_packets import frame_bytes, pcapng_of
from tests.unit.loadgen.commands.in_process import run_in_process

if TYPE_CHECKING:
    from analyzer.parts import Store
    from analyzer.parts.inputs import InputFile
    from analyzer.wire.packets import PacketTable

WAYS = pytest.mark.parametrize("words", [(), ("--no-run",)], ids=["kept", "thrown away"])
DATA = Path(__file__).resolve().parents[3] / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = DATA / "ground-truth" / "dr-client-close-tcpfin10"
    return Path(shutil.copytree(source, tmp_path / "recorded"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_is_left_beside_the_first_file(folder: Path, tmp_path: Path) -> None:
    before = names(folder)
    shown = run_in_process("analyzer", "report", folder / "capture.pcap", "--json")
    assert shown.returncode == 0, shown.stderr
    (new,) = names(folder) - before
    run = folder / new
    assert new.endswith("Z-import")
    assert json.loads(shown.stdout)["run"] == str(run)
    assert (run / "report.html").exists()
    again = run_in_process("analyzer", "report", run, "--json")
    assert json.loads(again.stdout)["lifetimes"] == json.loads(shown.stdout)["lifetimes"]


def test_a_folder_is_reported_as_import_and_report_do(folder: Path, tmp_path: Path) -> None:
    shown = run_in_process("analyzer", "report", folder, "--json", "--no-run")
    run_in_process("analyzer", "import", folder, "-o", tmp_path / "run")
    expected = run_in_process("analyzer", "report", tmp_path / "run", "--json")
    assert shown.returncode == 0, shown.stderr
    ours, theirs = json.loads(shown.stdout), json.loads(expected.stdout)
    assert {key for key in ours if ours[key] != theirs[key]} == {"run", "timings_s"}
    assert ours["run"] == str(folder)


@pytest.mark.parametrize("form", ["html", "csv", "parquet"])
def test_without_a_run_only_what_was_asked_for_is_left(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    kept, tmp = names(folder), tmp_path / "tmp"
    tmp.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp))
    words = ["--no-run", "--format", form, "-o", tmp_path / "out"]
    shown = run_in_process("analyzer", "report", folder / "capture.pcap", *words)
    assert shown.returncode == 0, shown.stderr
    assert names(tmp_path) == {"recorded", "tmp", "out"}
    assert (names(folder), names(tmp)) == (kept, set())
    assert shown.stdout.splitlines()[-1] == str(folder / "capture.pcap")


@WAYS
def test_a_capture_is_decoded_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    decoded: list[int] = []

    def counted(*captures: InputFile, store: Store, tcp: bool) -> PacketTable:
        decoded.append(len(captures))
        return read_packets(*captures, store=store, tcp=tcp)

    monkeypatch.setattr("analyzer.evidence.captures.read_packets", counted)
    for paths in ([folder], [folder / "capture.pcap"]):  # beside its log, and alone
        assert run_in_process("analyzer", "report", *paths, *words).returncode == 0
    assert decoded == [1, 1]


@WAYS
def test_a_capture_that_grows_or_is_deleted_meanwhile_is_reported_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    capture = folder / "capture.pcap"
    content = capture.read_bytes()
    expected = json.loads(run_in_process("analyzer", "report", folder, "--no-run", "--json").stdout)

    def meanwhile(*captures: InputFile, store: Store, tcp: bool) -> PacketTable:
        if words:
            capture.unlink()
        else:
            capture.write_bytes(content * 2)
        return read_packets(*captures, store=store, tcp=tcp)

    monkeypatch.setattr("analyzer.evidence.captures.read_packets", meanwhile)
    shown = json.loads(run_in_process("analyzer", "report", folder, *words, "--json").stdout)
    assert {key for key in shown if shown[key] != expected[key]} <= {"run", "timings_s"}
    for copy in folder.glob("*-import/capture.pcap"):
        assert copy.read_bytes() == content


@pytest.mark.parametrize(
    ("form", "words"), [("pcap", ()), ("pcapng", ("--no-run",)), ("pcapng.gz", ("--no-run",))]
)
def test_a_capture_that_is_cut_off_meanwhile_is_reported_as_far_as_it_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, form: str, words: tuple[str, ...]
) -> None:
    content = (folder / "capture.pcap").read_bytes()
    if form.startswith("pcapng"):
        (frames,) = frame_chunks(memoryview(content))
        content = pcapng_of(zip(frames.at_ns.tolist(), frame_bytes(frames), strict=True))
    is_packed = form.endswith("gz")
    capture = folder.parent / f"capture.{form}"
    capture.write_bytes(gzip.compress(content) if is_packed else content)

    def meanwhile(*captures: InputFile, store: Store, tcp: bool) -> PacketTable:
        os.truncate(capture, 0 if is_packed else len(content) // 2)
        return read_packets(*captures, store=store, tcp=tcp)

    monkeypatch.setattr("analyzer.evidence.captures.read_packets", meanwhile)
    shown = run_in_process("analyzer", "report", capture, *words, "--json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    lost = [row for row in document["not_measured"] if "bytes of the capture" in row["what"]]
    entries = sum(row["n"] for row in document["lifetimes"])
    if is_packed:  # it was unpacked before
        assert (lost, entries) == ([], 50)
        return
    (row,) = lost
    assert "cut off" in row["why"]
    assert 0 < entries < 50
    is_named = f"{capture}: cut off while it was read: the run's copy has" in shown.stderr
    assert is_named is not bool(words)


@WAYS
def test_what_a_killed_report_left_goes_with_the_next_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A report that is killed can delete nothing: its run and what it unpacked are left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    packed = tmp_path / "packed" / "capture.pcap.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress((folder / "capture.pcap").read_bytes()))
    program = f"""
import os, analyzer.evidence.captures as captures
from tests.unit.loadgen.commands.in_process import run_in_process
captures.read_packets = lambda *_, **__: os.kill(os.getpid(), 9)
run_in_process("analyzer", "report", {str(packed)!r}, *{words!r})
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert left
    assert run_in_process("analyzer", "report", packed, *words).returncode == 0
    assert not [path for path in left if path.exists()]


def test_a_disk_that_is_full_while_a_capture_is_read_is_what_the_error_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: InputFile, store: Store, tcp: bool) -> PacketTable:
        raise RecordingError("/var/tmp/x: cannot be written: No space left on device")

    monkeypatch.setattr("analyzer.evidence.captures.read_packets", full)
    refused = run_in_process("analyzer", "report", folder, "--no-run")
    assert (refused.returncode, refused.stderr) == (
        2,
        "analyzer: /var/tmp/x: cannot be written: No space left on device\n",
    )


def test_a_capture_beside_a_log_of_more_rows_than_a_part_has_the_same_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = DATA / "ground-truth" / "dr-client-close-default"

    def figures() -> Any:
        shown = run_in_process("analyzer", "report", recorded, "--no-run", "--json")
        return json.loads(shown.stdout) | {"timings_s": None}

    whole = figures()
    in_parts = partial(spilled, part_rows=37)
    monkeypatch.setattr("analyzer.recording.spill.store.SPILLED_BYTES", 0)
    monkeypatch.setattr("analyzer.recording.spill.store.spilled", in_parts)
    assert figures() == whole


@pytest.mark.parametrize("words", [("report", "--no-run"), ("import", "-o", "run")])
def test_a_line_says_how_far_the_reading_of_a_long_capture_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("loadgen.session.means.progress.FIRST_S", 0.0)
    monkeypatch.setattr("loadgen.session.means.progress.EVERY_S", 3600.0)  # one line, however slow
    in_chunks = partial(read_packets, chunk_bytes=2000)
    monkeypatch.setattr("analyzer.evidence.captures.read_packets", in_chunks)
    monkeypatch.setattr("analyzer.recording.spill.store.SPILLED_BYTES", 0)
    shown = run_in_process("analyzer", words[0], folder / "capture.pcap", *words[1:])
    assert shown.returncode == 0, shown.stderr
    (line,) = [line for line in shown.stderr.splitlines() if "packets read" in line]
    assert line.startswith(f"analyzer {words[0]}: ")
    assert line.endswith("left to read")


@WAYS
def test_captures_are_opened_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A rotated set may have as many files as a process may have open."""
    monkeypatch.delattr("analyzer.recording.directory.reader.Recording.captures")
    shown = run_in_process("analyzer", "report", folder, *words)
    assert shown.returncode == 0, shown.stderr


def test_without_a_run_and_a_page_the_figures_are_printed(folder: Path) -> None:
    shown = run_in_process("analyzer", "report", folder / "capture.pcap", "--no-run")
    assert shown.returncode == 0
    assert "page:" not in shown.stdout
    assert "governs the decay" in shown.stdout


def test_tables_without_a_run_need_a_place(folder: Path) -> None:
    refused = run_in_process("analyzer", "report", folder, "--no-run", "--format", "csv")
    assert refused.returncode == 2
    assert refused.stderr == "analyzer report: --no-run with --format csv needs -o.\n"


def test_a_runs_manifest_stands_for_the_run(tmp_path: Path) -> None:
    run = Path(shutil.copytree(DATA / "dr-burst-50", tmp_path / "run"))
    shown = run_in_process("analyzer", "report", run / "run.json")
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (0, str(run))


def test_a_run_beside_files_is_refused(folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(DATA / "dr-burst-50", tmp_path / "run")
    refused = run_in_process("analyzer", "report", run, folder / "capture.pcap")
    assert refused.returncode == 2
    assert refused.stderr == (
        f"analyzer: {run}: a run directory; expected one alone, or captures and logs\n"
    )


def test_nothing_is_left_where_nothing_could_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("some prose\n")
    assert run_in_process("analyzer", "report", tmp_path / "x.log").returncode == 2
    assert names(tmp_path) == {"x.log"}
