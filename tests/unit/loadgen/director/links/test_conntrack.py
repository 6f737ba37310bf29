"""How connection tracking is read: a shell of this machine tries what it can run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from loadgen.director.links import conntrack
from tests.unit.waiting import LIMIT_S

if TYPE_CHECKING:
    from pathlib import Path

FAILS = "#!/bin/sh\nexit 1\n"
PRINTS = "#!/bin/sh\nwhile echo 'ipv4 2 tcp 6 9 CLOSE'; do :; done\n"  # until it is ended
PRINTS_NOTHING = "#!/bin/sh\nexit 0\n"
RUNS_CAT = '#!/bin/sh\n[ "$2" = cat ] || exit 1\nshift\nPATH=/usr/bin:/bin exec "$@"\n'


def asked(tmp_path: Path, programs: dict[str, str], *, tracks: bool = True) -> str:
    """What is printed where programs are these, before those of the system."""
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    table, count = tmp_path / "nf_conntrack", tmp_path / "count"
    table.touch()
    if tracks:
        count.write_text("0\n")
    script = conntrack.ASK_WAY.replace(conntrack.FILE, str(table))
    script = script.replace(conntrack.COUNT_FILE, str(count))
    done = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("programs", "way"),
    [
        ({}, "file"),
        ({"cat": PRINTS}, "file"),
        ({"cat": PRINTS_NOTHING}, "file"),
        ({"cat": FAILS, "conntrack": PRINTS}, "conntrack"),
        ({"cat": FAILS, "conntrack": PRINTS_NOTHING}, "conntrack"),
        ({"cat": FAILS, "conntrack": FAILS, "sudo": RUNS_CAT}, "sudo-file"),
        ({"cat": FAILS, "conntrack": FAILS, "sudo": FAILS}, "none"),
    ],
)
def test_the_first_way_that_works_is_taken(
    programs: dict[str, str], way: str, tmp_path: Path
) -> None:
    assert asked(tmp_path, programs) == f"{way}\n"


def test_nothing_is_said_where_nothing_is_tracked(tmp_path: Path) -> None:
    assert asked(tmp_path, {}, tracks=False) == ""


def test_every_way_that_is_asked_for_has_its_commands() -> None:
    assert list(conntrack.COMMANDS) == ["file", "conntrack", "sudo-file", "sudo-conntrack"]
    assert all(f"echo {way};" in conntrack.ASK_WAY for way in conntrack.COMMANDS)
