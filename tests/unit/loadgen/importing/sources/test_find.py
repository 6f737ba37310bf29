"""Which files an import takes of paths, patterns and folders, and in which order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording
from analyzer.wire.packets import read_packets
from loadgen.errors import UsageProblem
from loadgen.importing.sources.find import expanded, find_sources, unpacked
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import ACK, BOOT_NS, NS, SYN, pcap, request
from tests.unit.loadgen.importing.sources.builders_packed import PACKERS

if TYPE_CHECKING:
    from pathlib import Path

PRINTED = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
    "TCP  192.0.2.80:80 wlc\n"
    "  -> 192.0.2.21:80                Route   1      0          {inactive}\n"
)


def packet(at_s: float, port: int = 40000) -> tuple[int, bytes]:
    return BOOT_NS + round(at_s * NS), request(SYN, port=port)


def text_log(*at_s: int) -> str:
    return "".join(f"{t}\n{PRINTED.format(inactive=t % 10)}" for t in at_s)


@pytest.mark.parametrize("pack", [None, *PACKERS])
def test_a_rotated_set_is_read_in_the_order_of_its_first_packets(
    tmp_path: Path, pack: str | None
) -> None:
    for name, at_s in (("x.pcap0", 1020.0), ("x.pcap1", 1000.0), ("x.pcap10", 1010.0)):
        content = pcap([packet(at_s), packet(at_s + 5)])
        (tmp_path / name).write_bytes(PACKERS[pack](content) if pack else content)
    import_folder([tmp_path / "x.pcap*"], tmp_path / "run")
    files = Recording.open(tmp_path / "run").captures()
    assert list(files) == ["capture.pcap", "capture-00001.pcap", "capture-00002.pcap"]
    seen_s = [(read_packets(content).at_ns - BOOT_NS) // NS for content in files.values()]
    assert [list(at_s) for at_s in seen_s] == [[1000, 1005], [1010, 1015], [1020, 1025]]


def test_nothing_is_left_of_what_was_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PACKERS["xz"](pcap([packet(1)])))
    with unpacked([tmp_path / "x"], tmp_path / "new" / "run") as captures:
        (file,) = captures.values()
        assert file.read_bytes() == pcap([packet(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_pattern_that_the_shell_left_is_expanded(tmp_path: Path) -> None:
    for name in ("a.pcap1", "a.pcap0", "b.pcap0"):
        (tmp_path / name).touch()
    assert [path.name for path in expanded([tmp_path / "a.pcap?"])] == ["a.pcap0", "a.pcap1"]
    (tmp_path / "a[1]").touch()
    assert expanded([tmp_path / "a[1]"]) == [tmp_path / "a[1]"]


@pytest.mark.parametrize(
    ("name", "why"), [("none", "no such file or folder"), ("*.none", "no file matches")]
)
def test_what_is_not_there_is_named(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UsageProblem, match=why):
        find_sources([tmp_path / name])


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(pcap([packet(1)]))
    (tmp_path / "y.pcap").symlink_to(tmp_path / "x.pcap")
    found = find_sources([tmp_path / "x.pcap", tmp_path / "y.pcap", tmp_path / "*.pcap"])
    assert found.captures == (tmp_path / "x.pcap",)


def test_what_else_lies_in_a_folder_is_passed_by_and_said(tmp_path: Path) -> None:
    (tmp_path / "no suffix").write_bytes(pcap([packet(1)]))
    (tmp_path / "notes.md").write_text("what we did\n")
    (tmp_path / "archive.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / ".hidden").write_bytes(pcap([packet(1)]))
    doubts = import_folder([tmp_path], tmp_path / "run")
    assert [doubt for doubt in doubts if "passed by" in doubt] == [
        f"{tmp_path / 'archive.zip'}: passed by: a ZIP archive; "
        "expected what is in it: unpack it first",
        f"{tmp_path / 'notes.md'}: passed by: neither a capture (pcap, pcapng) nor, "
        "in its first lines, a text of IPVS",
    ]
    left_out = Recording.open(tmp_path / "run").manifest.not_measured
    assert {"archive.zip", "notes.md"} <= {row.what for row in left_out}


def test_a_file_that_was_named_is_not_passed_by(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageProblem, match="a ZIP archive"):
        import_folder([tmp_path / "archive.zip"], tmp_path / "run")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageProblem, match="not a regular file"):
        find_sources([tmp_path / "pipe"])


def test_the_parts_of_a_log_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    first = text_log(1_795_838_380, 1_795_838_382)
    second = text_log(1_795_838_384, 1_795_838_386)
    (tmp_path / "poll.log").write_text(second)
    (tmp_path / "poll.log.1").write_bytes(PACKERS["gzip"](first.encode()))
    import_folder([tmp_path / "poll.log*"], tmp_path / "run")
    recording = Recording.open(tmp_path / "run")
    assert list(recording.table("services")["inactive"]) == [0, 2, 4, 6]


def test_a_poll_may_begin_in_one_part_and_end_in_the_next(tmp_path: Path) -> None:
    whole = text_log(1_795_838_380, 1_795_838_382, 1_795_838_384)
    cut = whole.index("1795838384") + 60
    begin, end = whole[:cut], whole[cut:] + text_log(1_795_838_386)
    (tmp_path / "a.log").write_text(begin)
    (tmp_path / "b.log").write_text(end)
    import_folder([tmp_path / "a.log", tmp_path / "b.log"], tmp_path / "run")
    assert list(Recording.open(tmp_path / "run").table("services")["inactive"]) == [0, 2, 4, 6]


def test_logs_of_two_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text_log(1_795_838_380))
    (tmp_path / "b").write_text('{"t": 1795838380, "services": ""}\n')
    with pytest.raises(UsageProblem, match="a log of another kind than"):
        find_sources([tmp_path / "a", tmp_path / "b"])


def test_packets_of_one_capture_are_not_changed(tmp_path: Path) -> None:
    content = pcap([packet(1), (BOOT_NS + 2 * NS, request(ACK))])
    (tmp_path / "x").write_bytes(content)
    import_folder([tmp_path / "x"], tmp_path / "run")
    assert (tmp_path / "run" / "capture.pcap").read_bytes() == content


def test_other_json_in_a_folder_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "x"}\n')
    (tmp_path / "a.log").write_text("1795838380\nTCP  192.0.2.80:80 wlc\n")
    found = find_sources([tmp_path])
    assert found.log is not None
    assert [path.name for path, _ in found.passed_by] == ["package.json"]
    for named in (tmp_path / "package.json", type(tmp_path)("-")):
        with pytest.raises(UsageProblem, match="expected"):
            import_folder([named], tmp_path / "run")
