"""Man pages are made of the commands, and man and groff have nothing to say against them."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import click
import man
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import __version__
from loadgen.commands.help_text import complete_command, every_command

if TYPE_CHECKING:
    from pathlib import Path

PAGES = man.pages()


def test_every_command_has_a_page() -> None:
    paths = [path for group in man.GROUPS for path, _ in every_command(group)]
    assert set(PAGES) == {f"{'-'.join(path)}.1" for path in paths}
    assert {"loadgen.1", "loadgen-burst.1", "loadgen-lab-up.1", "analyzer-report.1"} <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_ascii_and_has_its_sections(name: str) -> None:
    assert PAGES[name].isascii()
    assert f'"ipvs\\-loadgen {__version__}"' in PAGES[name]
    sections = re.findall(r"^\.SH (.+)$", PAGES[name], re.MULTILINE)
    assert sections[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]
    assert sections[-1] == "SEE ALSO"


@given(st.text(min_size=1, max_size=60))
def test_no_text_is_taken_for_a_request_of_roff(text: str) -> None:
    shown = man.escaped(text)
    assert shown.isascii()
    assert shown.isprintable()
    assert not shown.startswith((".", "'"))
    rest = re.sub(r"\\(?:\[(?:rs|aq|ga|ha|ti|u[0-9A-F]{4,6})\]|-|&)", "", shown)
    assert "\\" not in rest


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_groff_warns_of_nothing(tmp_path: Path) -> None:
    files = written(tmp_path)
    argv = ["groff", "-ww", "-man", "-Tutf8", "-z", *map(str, files)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here")
def test_man_shows_what_is_typed(tmp_path: Path) -> None:
    name = str(written(tmp_path)[list(PAGES).index("loadgen-burst.1")])
    environ = {"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LANG": "C.UTF-8", "TERM": "dumb"}
    done = subprocess.run(
        ["man", "--warnings", "-l", name],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environ,
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)
    for word in ("--connect-timeout", "reset-syn", "client=70,server=20,reset=10.", "[NAME=]LINK"):
        assert word in shown.split()
    assert "'tcpfin=30±1s'" in shown


def test_kept_lines_stay_as_they_are() -> None:
    command = click.Command("x", help="One.\n\n\b\na  b\n.c  d\n\nTwo.")
    page = man.page(["x"], complete_command(command))
    assert "One.\n.PP\n.nf\na  b\n\\&.c  d\n.fi\n.PP\nTwo.\n" in page


def written(folder: Path) -> list[Path]:
    for name, text in PAGES.items():
        (folder / name).write_text(text, encoding="ascii")
    return [folder / name for name in PAGES]
