"""What this host has the workers do: functions that ``Client.run`` calls there, by their names.

They run in the event loop of Dask's worker; the load is sent by processes of their own, which end
when the worker does.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import loadgen
from analyzer.recording.directory import layout
from loadgen.cluster.worker.messages import About, PartFile, part_name
from loadgen.cluster.worker.part import Part
from loadgen.errors import UsageProblem
from loadgen.load.source_addresses import check_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.cluster.worker.messages import PartOrder, Prepared, Pulse, Stopped
    from loadgen.load.engines.workers.share import Share

READ_BYTES = 4 << 20
"""Of a file, in one answer."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_parts: dict[str, Part] = {}


def about(pool: Sequence[str]) -> About:
    """This worker's surroundings."""
    boot = boot_id()
    network = ""
    with suppress(OSError):
        network = f"{boot} {Path('/proc/self/ns/net').readlink()}"
    return About(
        version=loadgen.__version__,
        host=socket.gethostname(),
        boot=boot,
        network=network if boot else "",
        held=frozenset(address for address in pool if _has(address)),
    )


def boot_id() -> str:
    """Names this boot of this kernel; empty where it is not to be had."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _has(address: str) -> bool:
    try:
        check_pool([address])
    except (UsageProblem, OSError):
        return False
    return True


def leave_interrupts() -> None:
    """Ctrl-C at the terminal is for the command alone, which stops its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


async def prepare(order: PartOrder, dask_worker: Any = None) -> Prepared:
    """Get a part ready; Dask gives itself."""
    if dask_worker is not None:
        from loadgen.cluster.worker.plugin import close_with

        await close_with(dask_worker)
    part = Part(order)
    prepared = await part.prepare()
    if prepared.refusal is None:
        _parts[part_name(order.run, order.number)] = part
    return prepared


async def begin(run: str, number: int, lanes: tuple[Share, ...]) -> bool:
    """Let a part begin at its lanes' instant."""
    _parts[part_name(run, number)].begin(lanes)
    return True


def pulse(run: str, number: int, *, with_sources: bool) -> Pulse | None:
    """How far a part is; None where this process has none: it is another than began it."""
    part = _parts.get(part_name(run, number))
    return None if part is None else part.pulse(with_sources=with_sources)


async def stop(run: str, number: int) -> Stopped | None:
    """End a part; None where this process has none."""
    part = _parts.pop(part_name(run, number), None)
    return None if part is None else await part.stop()


async def close_all() -> None:
    """End all parts: this worker ends."""
    parts = list(_parts.values())
    _parts.clear()
    await asyncio.gather(*(part.stop() for part in parts))


def is_closed(folder: str) -> bool:
    """Whether a part has been ended: nothing more comes to it."""
    try:
        manifest = json.loads((Path(folder) / layout.MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("ended") is not None


def part_files(folder: str) -> list[PartFile] | None:
    """The files of a part that are whole, the earliest of a kind first; None without its folder."""
    root = Path(folder)
    if not root.is_dir():
        return None
    found = [*layout.capture_files(root), *layout.part_files(root, "requests")]
    return [PartFile(path=str(path.relative_to(root)), bytes=path.stat().st_size) for path in found]


def read_file(folder: str, path: str, offset: int) -> bytes:
    """A piece of a part's file."""
    with (Path(folder) / path).open("rb") as file:
        file.seek(offset)
        return file.read(READ_BYTES)


def remove(folder: str) -> None:
    """Delete a part that has been gathered."""
    shutil.rmtree(folder, ignore_errors=True)
