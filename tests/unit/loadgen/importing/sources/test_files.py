"""What an import reads of files that nobody vouches for: bombs, half characters, no leftovers."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording
from loadgen.errors import UsageProblem
from loadgen.importing.sources import lines, packed
from tests.importing import import_folder

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    "TCP  C0A80A02:0050 wlc \n"
    "  -> C0A80B15:0050      Route   1      0          3\n"
)


def log(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["bomb.log.gz", "bomb.jsonl.gz"])
@pytest.mark.parametrize("repeated", ["\n", "x", '{"t":1}\n'])
def test_a_log_that_unpacks_to_more_than_any_log_is_refused(
    tmp_path: Path, name: str, repeated: str
) -> None:
    source = log(tmp_path / name, repeated * (2 * packed.ANY_RATIO_BYTES // len(repeated)))
    tracemalloc.start()
    with pytest.raises(UsageProblem, match="unpacks to more than 200 times its size"):
        import_folder([source], tmp_path / "run")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * packed.ANY_RATIO_BYTES
    assert not (tmp_path / "run").exists()


def test_a_small_log_may_repeat_itself(tmp_path: Path) -> None:
    polls = [json.dumps({"t": 1e9 + number, "services": SERVICES}) for number in range(300)]
    import_folder([log(tmp_path / "p.jsonl.gz", "\n".join(polls))], tmp_path / "run")
    assert len(Recording.open(tmp_path / "run").table("polls")) == 300


def test_a_line_longer_than_any_poll_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_POLL_BYTES", 1000)
    with pytest.raises(UsageProblem, match="expected lines of at most"):
        import_folder([log(tmp_path / "p.log", "12:00:00\n" + "x" * 1001)], tmp_path / "run")


def test_a_poll_longer_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.importing.log.MAX_POLL_BYTES", 1000)
    with pytest.raises(UsageProblem, match="a poll of the log: expected"):
        import_folder([log(tmp_path / "p.log", "12:00:00\n" + SERVICES * 9)], tmp_path / "run")


def test_half_characters_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text('{"scenario": "a\\ud800b", "kernel": "\\udfff"}')
    services = SERVICES.replace("wlc", "\ud800")
    log(tmp_path / "p.jsonl", json.dumps({"t": 1e9, "services": services}))
    import_folder([tmp_path], tmp_path / "run")
    recording = Recording.open(tmp_path / "run")
    assert recording.manifest.raw["imported"]["scenario"] == "a?b"
    assert list(recording.table("services")["scheduler"]) == ["?"]


def test_an_import_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The second line is odd, the first is not: the directory may have been made by then."""
    log(tmp_path / "p.jsonl", json.dumps({"t": 1e9, "services": SERVICES}) + "\n{}\n")
    with pytest.raises(UsageProblem, match="line 2"):
        import_folder([tmp_path / "p.jsonl"], tmp_path / "a" / "run")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("exists", [True, False])
def test_what_fails_while_it_is_recorded_leaves_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    def fail(*_: object) -> None:
        raise UsageProblem("the disk is gone")

    monkeypatch.setattr("loadgen.importing.recorded_log.record_log", fail)
    run = tmp_path / "a" / "run"
    if exists:
        run.mkdir(parents=True)
        (run / "mine.txt").touch()
    log(tmp_path / "p.jsonl", json.dumps({"t": 1e9, "services": SERVICES}))
    with pytest.raises(UsageProblem, match="the disk is gone"):
        import_folder([tmp_path / "p.jsonl"], run)
    assert [path.name for path in run.iterdir()] == ["mine.txt"] if exists else not run.exists()
    assert exists or not (tmp_path / "a").exists()


def test_an_instant_that_no_recording_can_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({"commands": [{"t": 1e12, "cmd": "x"}]}))
    log(tmp_path / "p.jsonl", json.dumps({"t": 1e9, "services": SERVICES}))
    with pytest.raises(UsageProblem, match=r"meta\.json: .*expected one from 1970 to 2116"):
        import_folder([tmp_path], tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["offset_s_before", "offset_s_after"])
@pytest.mark.parametrize("offset_s", [-1.7e308, 1e12, float("nan")])
def test_an_offset_that_no_clock_has_is_refused(tmp_path: Path, key: str, offset_s: float) -> None:
    clock = {"offset_s_before": 0.1, "offset_s_after": 0.1} | {key: offset_s}
    (tmp_path / "meta.json").write_text(json.dumps({"clock": clock}))
    polls = [json.dumps({"t": 1e9 + number, "services": SERVICES}) for number in range(3)]
    log(tmp_path / "p.jsonl", "\n".join(polls))
    with pytest.raises(UsageProblem, match=r"meta\.json: .*clock: .*expected"):
        import_folder([tmp_path], tmp_path / "run")
