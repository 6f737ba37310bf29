"""``analyzer anonymise`` at the command line."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.recording.directory import CAPTURE, MANIFEST
from loadgen.commands.analyzer.anonymise import anonymise
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from analyzer.parts.inputs import InputFile

RUN = "tests/data/dr-burst-50"


def ran(*arguments: str | Path) -> Result:
    return CliRunner().invoke(anonymise, [str(argument) for argument in arguments])


def vip(copy: Path) -> str:
    address: str = json.loads((copy / MANIFEST).read_text())["service"]["vip"]
    return address


def test_a_new_key_each_time_and_the_same_with_a_file(tmp_path: Path) -> None:
    hexadecimal, raw = tmp_path / "key.hex", tmp_path / "key"
    hexadecimal.write_text("07" * 32 + "\n")
    raw.write_bytes(b"\x07" * 32)
    keys = {"a": (), "b": (), "c": ("--key-file", hexadecimal), "d": ("--key-file", raw)}
    for name, options in keys.items():
        result = ran(RUN, "-o", tmp_path / name, *options)
        assert (result.exit_code, result.stdout) == (0, f"{tmp_path / name}\n")
    addresses = [vip(tmp_path / name) for name in keys]
    assert len(set(addresses)) == 3
    assert addresses[2] == addresses[3]


def test_a_line_says_how_far_a_long_copy_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.session.means.progress.FIRST_S", 0.0)
    monkeypatch.setattr("loadgen.session.means.progress.EVERY_S", 3600.0)  # one line, however slow
    shown = ran(RUN, "-o", tmp_path / "copy")
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stderr.splitlines() if "packets copied" in line]
    assert line.startswith("analyzer anonymise: ")
    assert line.endswith("left to copy")


def test_a_capture_that_is_cut_off_meanwhile_is_copied_as_far_as_it_is_there_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(content: InputFile, *arguments: Any) -> Iterator[bytes]:
        os.truncate(content.path, 10_000)
        return anonymous_capture(content, *arguments)

    monkeypatch.setattr("analyzer.anonymous.run.anonymous_capture", cut_off)
    run = shutil.copytree(RUN, tmp_path / "run")
    shown = ran(run, "-o", tmp_path / "copy")
    assert (shown.exit_code, shown.stdout) == (0, f"{tmp_path / 'copy'}\n")
    (line,) = shown.stderr.splitlines()
    assert line.startswith(f"analyzer anonymise: {CAPTURE}: its last ")
    assert line.endswith(
        "not in the copy: no whole packet follows: the capture was cut off, or is damaged"
    )
    assert 5_000 < (tmp_path / "copy" / CAPTURE).stat().st_size < 10_000


def test_a_capture_that_is_none_is_named_in_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    run = shutil.copytree(RUN, tmp_path / "run")
    (run / CAPTURE).write_bytes(b"nothing of the kind, but long enough")
    shown = ran(run, "-o", tmp_path / "copy")
    assert str(shown.exception).startswith(f"{CAPTURE}: capture: neither pcap nor pcapng")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_directory_that_exists_is_refused(tmp_path: Path) -> None:
    result = ran(RUN, "-o", tmp_path)
    assert isinstance(result.exception, UsageProblem)
    assert result.exception.exit_code == 2
    assert "exists already" in str(result.exception)


@pytest.mark.parametrize("content", [b"", b"too short", b"\xff" * 31, b"zz" * 32, None])
def test_a_key_that_is_none_is_refused_before_anything_is_written(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    result = ran(RUN, "-o", tmp_path / "copy", "--key-file", tmp_path / "key")
    assert isinstance(result.exception, UsageProblem)
    assert str(tmp_path / "key") in str(result.exception)
    assert not (tmp_path / "copy").exists()
