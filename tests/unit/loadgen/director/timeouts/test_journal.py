"""The journal: whole or not at all, found again by what the director is, and one line if spoilt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.ipvs.states import Timeouts
from loadgen.director.timeouts import journal
from loadgen.director.timeouts.journal import JournalDamaged, Owed, SweepGoesOn
from loadgen.errors import UsageProblem

OWED = Owed(
    director="bal01",
    identity="0b5c net:[4026531840]",
    before=Timeouts(),
    ours=(Timeouts(), Timeouts(tcpfin_s=10)),
    since="2026-11-22 12:00:00 UTC",
    by_hand="ssh root@bal01 'ipvsadm --set 0 120 0'",
)
TEXT = json.dumps({"schema_version": 1, **asdict(OWED)}).encode()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_what_is_owed_is_read_back_as_it_was_written_and_gone_when_forgotten() -> None:
    assert journal.read(OWED.identity) is None
    assert not journal.are_any()
    journal.write(OWED)
    assert journal.are_any()
    assert journal.read(OWED.identity) == OWED
    assert journal.read("another director") is None
    journal.forget(OWED.identity)
    journal.forget(OWED.identity)
    assert journal.read(OWED.identity) is None


def test_it_is_on_the_disk_before_it_has_its_name(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def noted_sync(opened: int) -> None:
        done.append("fsync")
        sync(opened)

    def noted_rename(path: Path, to: Path) -> Path:
        done.append("rename")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    journal.write(OWED)
    assert done == ["fsync", "rename", "fsync"]
    assert [path.suffix for path in (state / "loadgen" / "timeouts").iterdir()] == [".json"]


def test_a_folder_that_cannot_be_written_is_one_line_before_anything_is_changed(
    state: Path,
) -> None:
    (state / "loadgen").write_text("a file where a folder should be")
    with pytest.raises(UsageProblem, match="cannot be written"):
        journal.write(OWED)


def test_a_relative_state_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert journal.folder() == Path.home() / ".local" / "state" / "loadgen" / "timeouts"


def damage(content: bytes) -> str:
    """What is said of such a journal; fails unless it is one clear line."""
    path = journal.path_of(OWED.identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(JournalDamaged) as caught:
        journal.read(OWED.identity)
    line = str(caught.value)
    assert str(path) in line
    assert line.isprintable()
    assert caught.value.exit_code == 2
    return line


@given(length=st.integers(0, len(TEXT) - 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_torn_journal_is_one_clear_line(length: int) -> None:
    assert "its content is not one" in damage(TEXT[:length])


@given(content=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_one_clear_line(content: bytes) -> None:
    damage(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(key=st.sampled_from([*asdict(OWED), "schema_version"]), value=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_journal_with_one_value_spoilt_gives_that_value_or_one_clear_line(
    key: str, value: object
) -> None:
    spoilt = json.loads(TEXT) | {key: value}
    try:
        owed = journal.parse(json.dumps(spoilt).encode())
    except (ValueError, TypeError, KeyError, AttributeError):
        damage(json.dumps(spoilt).encode())
    else:
        assert isinstance(getattr(owed, key, value), str | tuple | int)


@pytest.mark.parametrize("number", ["0", "-1", "1e300", "NaN", "true", '"120"', "null"])
def test_a_timeout_that_is_none_is_never_set(number: str) -> None:
    damage(TEXT.replace(b'"tcpfin_s": 120', f'"tcpfin_s": {number}'.encode()))


def test_a_journal_of_another_director_under_this_name_is_not_believed() -> None:
    assert "another director's" in damage(TEXT.replace(b"0b5c", b"0b5d"))


def test_two_cannot_hold_one_director_and_two_directors_have_two_locks() -> None:
    with journal.locked("one"), journal.locked("another"):
        with pytest.raises(SweepGoesOn), journal.locked("one"):
            pass
        # and the failed attempt did not take the lock away
        with pytest.raises(SweepGoesOn), journal.locked("one"):
            pass
    with journal.locked("one"):
        pass


def test_a_lock_goes_with_its_process() -> None:
    script = (
        "import os, signal\n"
        "from loadgen.director.timeouts import journal\n"
        "with journal.locked('one'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -9
    with journal.locked("one"):
        pass
