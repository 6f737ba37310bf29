"""What this host and the workers of a cluster tell each other: values, pickled by Dask.

Texts in them are a worker's word. None is shown, but for errors of requests, which are shown as
those of any engine are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgen.capture.start import CaptureOptions
    from loadgen.load.engines.sources import SourcePorts
    from loadgen.load.plan import LoadPlan

Refusal = Literal["not-allowed", "folder", "engine"]


def part_name(run: str, number: int) -> str:
    """What a worker's part of a burst is called, its folder among others."""
    return f"loadgen-{run}-{number:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A worker's surroundings.

    Attributes:
        version: of loadgen there.
        host: its name, by ``gethostname``.
        boot: of its kernel; the same for hosts that have one clock.
        network: the same for workers that see the same packets: boot and network namespace.
        held: the addresses, of those asked for, that it can send from.
    """

    version: str
    host: str
    boot: str
    network: str
    held: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOrder:
    """What a worker is to get ready.

    Attributes:
        run: names this burst among others.
        number: of the worker, from 1.
        name: of the worker, as this run calls it.
        plan: with the worker's own addresses.
        processes: that it starts.
        offset_ns: its clock less ours; what it records is in our clock.
        folder: where it records; None for a folder of its own below its host's temporary one.
        captures: what it captures; None for nothing.
        live_rows: hand on each row, too, for what is shown while the burst is on.
    """

    run: str
    number: int
    name: str
    plan: LoadPlan
    processes: int
    offset_ns: int
    folder: str | None = None
    captures: CaptureOptions | None = None
    live_rows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Whether a worker is ready: ``refusal`` is None, and ``folder`` is where it records."""

    refusal: Refusal | None = None
    folder: str = ""
    captures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """How far a worker is.

    Attributes:
        ended, latest_ns, first_ns, last_ns: as in ``Tally``; instants in our clock.
        under_way: requests that have begun and not ended.
        errors: how many requests failed, by what they say.
        ended_by_target, failed_by_target: as in ``TargetTally``.
        sent: nothing more will be sent.
        crashed: its engine ended before its time.
        expired: nobody asked for too long, and it stopped.
        unrecorded: its disk takes nothing more.
        rows: that have ended since the last pulse, as ``rows_in`` reads them.
        sources: address and port of each connection; None where they were not asked for.
    """

    ended: int
    latest_ns: int
    first_ns: int | None
    last_ns: int | None
    under_way: int
    errors: Mapping[str, int]
    ended_by_target: Sequence[int]
    failed_by_target: Sequence[int]
    sent: bool
    crashed: bool
    expired: bool
    unrecorded: bool
    rows: bytes = b""
    sources: SourcePorts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What a worker leaves.

    Attributes:
        cpu_s: of its engine's processes.
        packets, dropped: of its capture; None without one.
        capture_failed: it ended before the burst did.
        capture_deleted: its oldest packets made room for new ones.
    """

    cpu_s: tuple[float | None, ...]
    packets: int | None = None
    dropped: int | None = None
    capture_failed: bool = False
    capture_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """A file of a worker's part: its path below the part's folder, and its length."""

    path: str
    bytes: int
