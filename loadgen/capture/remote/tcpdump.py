"""tcpdump running on another host, behind its link: started, read, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from analyzer.wire.capture.pcap import HEADER_BYTES
from loadgen.capture import tcpdump
from loadgen.capture.model import CaptureRefused
from loadgen.capture.remote.stream import NotPcap, PcapStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadgen.capture.remote.stream import Packet
    from loadgen.director.links.link import Link

READABLE_LINK_TYPES = frozenset({1, 101, 113, 276})
"""Ethernet, raw IP, Linux cooked v1 and v2 (tcpdump.org/linktypes.html)."""

_START_S = 15.0
_END_S = 3.0
_CHUNK_BYTES = 1 << 18
_SAID_BYTES = 1 << 14


class FarTcpdump:
    """One run of tcpdump.

    Attributes:
        link_type: LINKTYPE_… of its frames, once it has started.
    """

    def __init__(self, link: Link) -> None:
        self.link_type = 0
        self._link = link
        self._process: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._said = b""
        self._stream: PcapStream | None = None

    async def start(self, script: str) -> None:
        """Have it run, up to the first bytes of its file.

        Raises:
            CaptureRefused: no link, no tcpdump, no privilege, no such interface.
        """
        try:
            self._process = await self._spawn()
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._hearing = asyncio.create_task(self._hear(self._process))
            if self._process.stdin.is_closing():  # gone already; uvloop's error is no OSError
                raise ConnectionResetError
            self._process.stdin.write(script.encode())
            async with asyncio.timeout(_START_S):
                header = await self._process.stdout.readexactly(HEADER_BYTES)
            self._stream = PcapStream(header, READABLE_LINK_TYPES)
        except (OSError, NotPcap, asyncio.IncompleteReadError) as error:
            await self.close()
            why = error if isinstance(error, NotPcap) else self.complaint() or "no answer"
            raise CaptureRefused(f"no capture on {self._link.name}: {why}") from error
        self.link_type = self._stream.link_type

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._link.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is ours to handle
        )

    async def packets(self) -> AsyncIterator[list[Packet]]:
        """What it sees, until it ends.

        Raises:
            NotPcap: something else came.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._stream is not None
        while content := await self._process.stdout.read(_CHUNK_BYTES):
            yield self._stream.feed(content)

    async def end(self) -> None:
        """Let it see what has come so far, and ask it to end; the rest can still be read."""
        await asyncio.sleep(tcpdump.RING_S)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def close(self) -> None:
        """Wait for its end, or end it; no harm if it never began."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
                if self._hearing is not None:
                    await self._hearing
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        finally:
            if self._hearing is not None:
                self._hearing.cancel()
            # closes the pipes, which what the shell started may still hold open
            process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - no other way

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        """Keep the end of what comes on standard error."""
        assert process.stderr is not None
        while text := await process.stderr.read(_SAID_BYTES):
            self._said = (self._said + text)[-_SAID_BYTES:]

    def complaint(self) -> str | None:
        """Why it ended, in its own words; None if it has none."""
        return tcpdump.complaint(self._text())

    def dropped(self) -> int | None:
        """Packets lost, as it says at its end; None if it does not."""
        return tcpdump.dropped(self._text())

    def _text(self) -> str:
        return self._said.decode("utf-8", "replace")
