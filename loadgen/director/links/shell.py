"""One long-lived POSIX shell on a director, that answers when it is asked.

Nothing is installed on the director, and nothing is written there. What comes back is untrusted:
its size is bounded, and its end is marked by a word that the director cannot have guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.director.links.complaints import recorded
from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from loadgen.director.links.link import Link

CONNECT_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 4_000_000
"""Of an answer, unless the question says more: settings are some kB, 10,000 addresses 1 MB."""

_CHUNK_BYTES = 1 << 16
_END_TIMEOUT_S = 1.0
_MAX_COMPLAINT_BYTES = 1 << 16
_MAX_COMPLAINT_CHARACTERS = 200

_FIRST = "[ -t 0 ] && { PS1= PS2=; stty -echo -opost 2>/dev/null; }"
"""A prefix that gives us a terminal would repeat what we say, and turn its ends of lines."""


class LinkLost(LoadgenError):
    """The director stopped answering; what was recorded so far stands."""

    @property
    def recorded(self) -> str:
        """Why, as a recording may hold it: nothing that the other end wrote."""
        return recorded(str(self))


class AnswerTooLong(LinkLost):
    """More came than any director has to say; the link was closed, and may be opened again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellAnswer:
    """What a director said, and when it was asked and had answered; Unix ns, our clock."""

    content: bytes
    asked_ns: int
    answered_ns: int

    @property
    def text(self) -> str:
        """The content, as far as it is UTF-8."""
        return self.content.decode("utf-8", "replace")


def _write(stdin: asyncio.StreamWriter, text: str) -> None:
    """Write to a process that may have ended, for which uvloop raises a RuntimeError."""
    if stdin.is_closing():
        raise EOFError
    stdin.write(text.encode())


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To the shell and to what it started here: it leads a session of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _kill(process: asyncio.subprocess.Process) -> None:
    _signal(process, signal.SIGKILL)
    await process.wait()


class Shell:
    """The remote shell behind a Link.

    Attributes:
        mark: the line that ends an answer.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.mark = f"@{secrets.token_hex(8)}"
        self._process: asyncio.subprocess.Process | None = None
        self._buffer = b""
        self._complaints = b""  # the last of what came on standard error
        self._drain: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start it and wait for its first answer.

        Raises:
            LinkLost: it cannot be started, or does not answer.
        """
        await self.close()  # one that was lost may still be there
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.link.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is ours to handle, not ssh's
            )
        except OSError as error:
            raise LinkLost(f"{self.link.spec}: {error}") from error
        self._buffer = self._complaints = b""
        self._drain = asyncio.create_task(self._keep_complaints(self._process.stderr))
        await self.ask(_FIRST, timeout_s=CONNECT_TIMEOUT_S)

    async def ask(
        self, script: str, *, timeout_s: float, most_bytes: int = MAX_ANSWER_BYTES
    ) -> ShellAnswer:
        """Run one line of shell there and take what it prints.

        Raises:
            LinkLost: no whole answer in time.
            AnswerTooLong: more than ``most_bytes``.
        """
        # in two parts, so that a terminal's echo of the line is not the mark
        marking = f"echo {self.mark[:1]}''{self.mark[1:]}"
        lines = f"{script}\n{marking}\n"
        return await self.send(lines, timeout_s=timeout_s, most_bytes=most_bytes)

    async def send(
        self, lines: str, *, timeout_s: float, most_bytes: int = MAX_ANSWER_BYTES
    ) -> ShellAnswer:
        """Write lines to what reads there, and take what it prints until it prints the mark.

        Raises:
            LinkLost, AnswerTooLong: as ``ask``.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise LinkLost(f"{self.link.spec}: not connected")
        asked_ns = time.time_ns()
        try:
            _write(process.stdin, lines)
            async with asyncio.timeout(timeout_s):
                await process.stdin.drain()
                content = await self._read_to_mark(process, most_bytes)
        except TimeoutError:
            await self.close()
            raise LinkLost(f"{self.link.spec}: no answer in {timeout_s:g} s") from None
        except asyncio.LimitOverrunError:
            await self.close()
            most = f"{most_bytes / 1e6:.0f} MB"
            raise AnswerTooLong(f"{self.link.spec}: an answer of more than {most}") from None
        except (ConnectionError, EOFError):
            complaint = await self._complaint()
            await self.close()
            raise LinkLost(f"{self.link.spec}: {complaint}") from None
        return ShellAnswer(content=content, asked_ns=asked_ns, answered_ns=time.time_ns())

    async def close(self) -> None:
        """End the remote shell, if it has not ended already; also where this is cancelled."""
        process, self._process = self._process, None
        drain, self._drain = self._drain, None
        if drain is not None:
            drain.cancel()
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        _signal(process, signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _END_TIMEOUT_S)
            if process.returncode is None:
                await _kill(process)
        except asyncio.CancelledError:  # the event loop may end next, and with it who waits
            await _kill(process)
            raise
        finally:
            # closes the pipes, which what the shell started may still hold open
            process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - no other way

    async def _read_to_mark(self, process: asyncio.subprocess.Process, most_bytes: int) -> bytes:
        assert process.stdout is not None
        mark = f"{self.mark}\n".encode()
        parts = [self._buffer]
        size = 0
        tail = self._buffer
        try:
            while mark not in tail:
                chunk = await process.stdout.read(_CHUNK_BYTES)
                if not chunk:
                    raise EOFError
                size += len(chunk)
                if size > most_bytes:
                    raise asyncio.LimitOverrunError("answer", size)
                parts.append(chunk)
                tail = tail[-len(mark) :] + chunk
            content, _, self._buffer = b"".join(parts).partition(mark)
        finally:
            parts.clear()  # a failed task and its frames are a cycle, that may stay for hours
        return content

    async def _keep_complaints(self, stderr: asyncio.StreamReader | None) -> None:
        """Read standard error to its end, so that nobody waits to write there; keep the last."""
        while stderr is not None and (chunk := await stderr.read(_CHUNK_BYTES)):
            self._complaints = (self._complaints + chunk)[-_MAX_COMPLAINT_BYTES:]

    async def _complaint(self) -> str:
        """The last line that the link's command printed to its standard error."""
        if self._drain is not None:
            await asyncio.wait({self._drain}, timeout=_END_TIMEOUT_S)
        return last_line(self._complaints.decode("utf-8", "replace")) or "the link was closed"


def last_line(text: str) -> str:
    """The last line of what a director complained of, as it may be shown; "" of nothing."""
    lines = text.strip().splitlines()
    return "".join(filter(str.isprintable, lines[-1]))[:_MAX_COMPLAINT_CHARACTERS] if lines else ""
