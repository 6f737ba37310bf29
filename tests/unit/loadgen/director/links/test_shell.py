"""A real shell at the other end of a link."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, TypeVar

import pytest
import uvloop

from loadgen.director.links.link import Link, parse_link
from loadgen.director.links.shell import AnswerTooLong, LinkLost, Shell
from tests.unit.waiting import LIMIT_S, turns, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOCAL = parse_link("local")
Result = TypeVar("Result")


def with_shell(
    use: Callable[[Shell], Awaitable[Result]], link: Link = LOCAL, *, opened: bool = True
) -> Result:
    """Run something with a shell that is closed afterwards."""

    async def main() -> Result:
        shell = Shell(link)
        try:
            if opened:
                await shell.open()
            return await use(shell)
        finally:
            await shell.close()

    return asyncio.run(main())


def ask(*scripts: str) -> list[str]:
    async def use(shell: Shell) -> list[str]:
        answers = [
            await shell.ask(script, timeout_s=LIMIT_S, most_bytes=2_000_000) for script in scripts
        ]
        return [answer.text for answer in answers]

    return with_shell(use)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("echo one; echo two", "one\ntwo\n"),
        ("printf 'no end of line'", "no end of line"),
        (":", ""),
        ("false", ""),
        ("printf '\\377\\376'", "\ufffd\ufffd"),  # not UTF-8
        ("nonsense-that-is-no-command 2>/dev/null", ""),
    ],
)
def test_a_shell_answers_what_the_command_printed(script: str, text: str) -> None:
    assert ask(script) == [text]


def test_one_shell_answers_again_and_again_and_remembers() -> None:
    assert ask("x=7", "echo $x", "echo $$; x=8", "echo $x")[1::2] == ["7\n", "8\n"]


def test_a_long_answer_comes_whole() -> None:
    (text, after) = ask("seq 200000", "echo next")
    assert text == "".join(f"{number}\n" for number in range(1, 200_001))
    assert after == "next\n"


def test_an_answer_knows_when_it_was_asked_and_when_it_was_there() -> None:
    before_ns = time.time_ns()
    answer = with_shell(lambda shell: shell.ask("echo", timeout_s=LIMIT_S))
    assert before_ns <= answer.asked_ns <= answer.answered_ns <= time.time_ns()


def test_output_that_looks_like_an_end_mark_is_output() -> None:
    async def use(shell: Shell) -> tuple[str, str]:
        mark = shell.mark
        script = f"echo @0123456789abcdef; printf '%s' '{mark[:-1]}'; printf '%s\\n' 'x{mark[1:]}'"
        hostile = await shell.ask(script, timeout_s=LIMIT_S)
        return hostile.text.replace(mark[:-1], "<nearly>"), (
            await shell.ask("echo next", timeout_s=LIMIT_S)
        ).text

    hostile, after = with_shell(use)
    assert hostile.startswith("@0123456789abcdef\n<nearly>x")
    assert after == "next\n"


def test_no_two_shells_have_the_same_mark() -> None:
    assert len({Shell(LOCAL).mark for _ in range(50)}) == 50


def lost(script: str, *, timeout_s: float = LIMIT_S, link: Link = LOCAL) -> str:
    """The message of the link that is lost by a command."""

    async def use(shell: Shell) -> str:
        with pytest.raises(LinkLost) as caught:
            await shell.ask(script, timeout_s=timeout_s)
        with pytest.raises(LinkLost, match="not connected"):
            await shell.ask("echo", timeout_s=timeout_s)
        return str(caught.value)

    return with_shell(use, link)


def test_a_shell_that_dies_is_a_lost_link_with_its_last_words() -> None:
    assert lost("echo first >&2; echo the last words >&2; exit 3") == "local: the last words"


def test_a_shell_that_dies_in_silence_is_a_closed_link() -> None:
    assert lost("exit 0") == "local: the link was closed"


def test_a_shell_that_is_killed_is_a_lost_link() -> None:
    assert lost("kill -9 $$").startswith("local: ")


def test_last_words_are_bounded_and_printable() -> None:
    message = lost("printf 'a\\033[31mb%05000d' 0 >&2; exit 1")
    assert message.startswith("local: a[31mb0")
    assert len(message) <= len("local: ") + 200


def test_any_amount_of_complaints_holds_no_answer_up() -> None:
    """A pipe holds some 200 kB: what nobody reads would stop the director there."""

    async def use(shell: Shell) -> list[str]:
        complaining = "yes 'a warning' | head -c 2000000 >&2; echo answered"
        return [(await shell.ask(complaining, timeout_s=LIMIT_S)).text for _ in range(3)]

    assert with_shell(use) == ["answered\n"] * 3


def test_of_any_amount_of_complaints_the_last_is_the_reason() -> None:
    assert lost("yes 'a warning' | head -c 2000000 >&2; echo last words >&2; exit 1") == (
        "local: last words"
    )


def test_a_slow_answer_is_a_lost_link() -> None:
    assert lost("sleep 60", timeout_s=0.05) == "local: no answer in 0.05 s"


def test_endless_output_is_bounded() -> None:
    assert lost("yes") == "local: an answer of more than 4 MB"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("exec:/nowhere/at/all", "/nowhere/at/all"),
        ("exec:false", "the link was closed"),
        ("exec:sh -c 'echo no such host >&2; exit 255'", "no such host"),
    ],
)
def test_a_link_that_cannot_be_opened_says_why(spec: str, says: str) -> None:
    async def use(shell: Shell) -> str:
        with pytest.raises(LinkLost) as caught:
            await shell.open()
        return str(caught.value)

    message = with_shell(use, parse_link(spec), opened=False)
    assert says in message
    assert message.startswith("exec:")
    assert "\n" not in message


def test_a_lost_link_can_be_opened_again() -> None:
    async def use(shell: Shell) -> str:
        with pytest.raises(LinkLost):
            await shell.ask("echo half; exit 1", timeout_s=LIMIT_S)
        await shell.open()
        return (await shell.ask("echo whole", timeout_s=LIMIT_S)).text

    assert with_shell(use) == "whole\n"


def test_closing_twice_does_no_harm() -> None:
    async def use(shell: Shell) -> None:
        await shell.close()
        await shell.close()

    with_shell(use)


def test_a_shell_that_ignores_the_end_is_ended_all_the_same() -> None:
    async def use(shell: Shell) -> bool:
        pid = (await shell.ask("trap '' TERM; echo $$", timeout_s=LIMIT_S)).text.strip()
        assert Path("/proc", pid).exists()
        await shell.close()
        return Path("/proc", pid).exists()

    assert not with_shell(use)


def test_a_close_that_is_cancelled_leaves_no_process() -> None:
    """As when a run ends while a director is lost that does not listen any more."""

    async def use(shell: Shell) -> bool:
        pid = (await shell.ask("trap '' TERM; echo $$", timeout_s=LIMIT_S)).text.strip()
        closing = asyncio.create_task(shell.close())
        await turns()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        return Path("/proc", pid).exists()

    assert not with_shell(use)


@pytest.mark.skipif(shutil.which("script") is None, reason="no script(1) to give a terminal")
def test_a_prefix_that_gives_a_terminal_does_no_harm() -> None:
    """As ``vagrant ssh HOST -c`` may; the command is one argument to both."""

    async def use(shell: Shell) -> list[str]:
        scripts = ("[ -t 0 ] && echo a terminal", "echo one; echo two", "x=7", "echo $x")
        return [(await shell.ask(script, timeout_s=LIMIT_S)).text for script in scripts]

    texts = with_shell(use, parse_link("exec:script -qe /dev/null -c"))
    assert texts == ["a terminal\n", "one\ntwo\n", "", "7\n"]


def test_a_prefix_may_take_its_command_as_one_argument(tmp_path: Path) -> None:
    wrapper = tmp_path / "vagrant"
    wrapper.write_text('#!/bin/sh\n[ "$*" = "ssh bal01 -c sh" ] && exec sh -c "$4"\nexit 64\n')
    wrapper.chmod(0o755)

    async def use(shell: Shell) -> str:
        return (await shell.ask("echo there", timeout_s=LIMIT_S)).text

    assert with_shell(use, parse_link(f"exec:{wrapper} ssh bal01 -c")) == "there\n"


@pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_shell_that_went_before_it_was_asked_is_a_lost_link(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    async def main() -> None:
        shell = Shell(LOCAL)
        await shell.open()
        pid = int((await shell.ask("echo $$", timeout_s=LIMIT_S)).text)
        os.kill(pid, signal.SIGKILL)
        assert await until(lambda: not Path("/proc", str(pid)).exists())
        try:
            with pytest.raises(LinkLost):
                await shell.ask(":", timeout_s=5)
        finally:
            await shell.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_an_answer_that_is_too_long_is_not_kept_by_its_error() -> None:
    """The error and the task that raised it refer to each other, until a rare collection."""

    async def use(shell: Shell) -> list[int]:
        with pytest.raises(AnswerTooLong) as raised:
            await shell.ask("yes | head -c 3000000", timeout_s=LIMIT_S, most_bytes=2_000_000)
        cause = raised.value.__context__
        assert cause is not None
        frames = walk_tb(cause.__traceback__)
        values = [value for frame, _ in frames for value in frame.f_locals.values()]
        return [
            sum(len(part) for part in value if isinstance(part, bytes))
            for value in values
            if isinstance(value, list)
        ]

    assert with_shell(use) == [0]
