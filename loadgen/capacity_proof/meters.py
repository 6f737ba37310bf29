"""What a proof records while it runs: the datagrams' fates, and the counters of the links."""

from __future__ import annotations

import asyncio
import pickle
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from loadgen.capacity_proof.schedule import PATIENCE_NS
from loadgen.capacity_proof.traffic import FIRST_SOURCE_PORT, ROW, SETTLED_S
from loadgen.errors import RunFailed
from loadgen.lab.system import netns, wiring
from loadgen.lab.topology.model import namespace, port_name
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from analyzer.recording.directory import RecordingWriter
    from loadgen.capacity_proof.traffic import Stream
    from loadgen.lab.lab import Lab

CHECK_EVERY_S = READ_EVERY_S = 0.1
PUNCTUAL_LIMIT_S = 15.0
_GRACE_S = SETTLED_S + 4.0
_READ_BYTES = 1 << 16


class Datagrams(Background):
    """Sends the stream, and records what became of each datagram."""

    def __init__(self, stream: Stream, servers: Sequence[str], recording: RecordingWriter) -> None:
        self._stream = stream
        self._vips = np.array(stream.vips, dtype=object)
        self._servers = np.array(servers, dtype=object)
        self._recording = recording
        self._process: asyncio.subprocess.Process | None = None
        self._over: RunFailed | None = None
        self._held = b""
        self._late_ns = 0

    def check(self) -> None:
        """Nothing, while it is being sent.

        Raises:
            RunFailed: the sender ended before its time.
        """
        if self._over is not None:
            raise self._over

    async def punctual(self) -> None:
        """Wait a while until the sender has made good what it was late with, as far as is known."""
        deadline_s = time.monotonic() + PUNCTUAL_LIMIT_S
        while self._late_ns > PATIENCE_NS and time.monotonic() < deadline_s:
            self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    async def _begin(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "loadgen.capacity_proof.traffic"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(self._stream))
        await self._process.stdin.drain()

    async def _run(self) -> None:
        await self._read()
        assert self._process is not None
        assert self._process.stderr is not None
        complaint = (await self._process.stderr.read()).decode(errors="replace").strip()
        why = complaint.splitlines()[-1] if complaint else "its process ended"
        self._over = RunFailed(f"the datagrams stopped: {why}")

    async def _end(self) -> None:
        """Stop it; what was on its way is still recorded."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(self._read(), _GRACE_S)
            await asyncio.wait_for(process.wait(), _GRACE_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while more := await self._process.stdout.read(_READ_BYTES):
            self._held += more
            whole = len(self._held) - len(self._held) % ROW.itemsize
            if whole:
                self._take(np.frombuffer(self._held[:whole], ROW))
                self._held = self._held[whole:]

    def _take(self, rows: npt.NDArray[np.void]) -> None:
        lost = rows["received"] == 0
        self._late_ns = int(rows["sent"][-1] - rows["due"][-1])
        flow = rows["flow"].astype(np.int64)
        self._recording.extend_columns(
            "datagrams",
            {
                "due": rows["due"],
                "sent": rows["sent"],
                "received": np.ma.masked_array(rows["received"], lost),
                "vip": self._vips[flow % len(self._vips)],
                "source_port": flow + FIRST_SOURCE_PORT,
                "real_server": np.where(lost, None, self._servers[rows["server"]]),
            },
        )


class LinkCounters(Background):
    """Reads the counters of the directors' ports, ten times a second."""

    def __init__(self, lab: Lab, recording: RecordingWriter) -> None:
        self._hub = namespace(lab.name, wiring.HUB)
        self._hosts = {port_name(name): name for name in lab.director_names}
        self._recording = recording
        self._file: IO[str] | None = None

    async def _begin(self) -> None:
        self._file = table_inside(self._hub, "dev")

    async def _run(self) -> None:
        while True:
            self._read()
            await asyncio.sleep(READ_EVERY_S)

    async def _end(self) -> None:
        if self._file is not None:
            self._read()
            self._file.close()

    def _read(self) -> None:
        assert self._file is not None
        self._file.seek(0)
        text, at_ns = self._file.read(), time.time_ns()
        for port, received, sent, packets in counters(text):
            if port in self._hosts:
                self._recording.append(
                    "links",
                    {
                        "at": at_ns,
                        "host": self._hosts[port],
                        "in_bytes": sent,
                        "in_packets": packets,
                        "out_bytes": received,
                    },
                )


def counters(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Interface, bytes received, bytes and packets sent: the lines of /proc/net/dev (proc(5))."""
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        values = rest.split()
        yield name.strip(), int(values[0]), int(values[8]), int(values[9])


def table_inside(inside: str, name: str) -> IO[str]:
    """A file of /proc/net that shows a namespace, whoever reads it (it was opened there)."""
    path = Path("/proc/thread-self/net", name)
    return netns.within(inside, lambda: path.open(encoding="ascii"))
