"""What a terminal gets, and what a pipe: the first has lines broken at blanks, the second never."""

from __future__ import annotations

import os
import pty
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from loadgen.session.terminal import columns, print_line, print_lines, print_verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

LONG = "a line that goes on and on " * 5 + "to-the-end"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], TextIO]]:
    """Puts a terminal of so many columns in the place of standard output."""
    opened: list[TextIO] = []

    def put(width: int) -> TextIO:
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, width))
        opened.extend((os.fdopen(master), os.fdopen(slave, "w")))
        monkeypatch.setattr(sys, "stdout", opened[-1])
        monkeypatch.setattr(sys, "stderr", opened[-1])
        return opened[-2]

    yield put
    for stream in opened:
        stream.close()


@pytest.mark.parametrize(("width", "seen"), [(80, 80), (200, 200), (10, 40), (0, None)])
def test_a_terminal_has_its_width(
    width: int, seen: int | None, terminal: Callable[[int], TextIO]
) -> None:
    terminal(width)
    assert columns() == columns(err=True) == seen


def test_a_pipe_has_no_width(capsys: pytest.CaptureFixture[str]) -> None:
    assert columns() is None
    print_line(LONG)
    print_lines([LONG], err=True)
    assert tuple(capsys.readouterr()) == (f"{LONG}\n", f"{LONG}\n")


@pytest.mark.parametrize("err", [False, True])
def test_a_terminal_gets_whole_words(err: bool, terminal: Callable[[int], TextIO]) -> None:
    reader = terminal(80)
    print_lines([LONG], err=err)
    sys.stdout.flush()
    lines = [reader.readline().rstrip("\n") for _ in range(2)]
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).split() == LONG.split()


def test_what_is_for_another_program_is_never_broken(terminal: Callable[[int], TextIO]) -> None:
    reader = terminal(80)
    print_verbatim([LONG])
    sys.stdout.flush()
    assert reader.readline().rstrip("\n") == LONG
