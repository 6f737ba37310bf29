"""A poll log, captures and ``meta.json``, any of them missing, to a run directory.

The poll log is JSON lines: ``{"t": epoch seconds on the director's clock,
"services": text of /proc/net/ip_vs, "connections": text of /proc/net/ip_vs_conn}``; or what a loop
of ``ipvsadm -Ln`` or ``-Lnc`` printed, with times (``loadgen.importing.log``).
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError
from analyzer.evidence.captures import ReadOnce
from analyzer.ipvs.addresses import host_port
from analyzer.parts.inputs import opened
from analyzer.recording.directory import CAPTURE, RecordingWriter
from analyzer.recording.manifest import manifest_of
from analyzer.recording.spill import ALONE, store_for
from analyzer.units import LATEST_NS, NS_PER_S
from analyzer.wire.packets import mac_number
from analyzer.wire.services import busiest_datagram_end, busiest_end
from loadgen.errors import UsageProblem
from loadgen.importing.commands import events_of
from loadgen.importing.joining import EPOCH, Joined, Poll, placed_by_events
from loadgen.importing.sources.find import find_sources, unpacked
from loadgen.importing.sources.meta import META
from loadgen.importing.sources.overview import MAX_WARNINGS, Overview
from loadgen.importing.timeouts import GivenTimeouts, given_timeouts
from loadgen.importing.times.stamps import LATEST_S, stamps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from analyzer.parts.inputs import InputFile
    from analyzer.recording.directory.writer import TakenBy
    from analyzer.recording.spill import Means
    from analyzer.wire.packets import PacketTable
    from loadgen.importing.sources.find import ImportFiles, PollLog

DIRECTOR = "director"
NOT_JOINED = "not-joined.pcap"
"""A capture that cannot be analysed beside its log: no analysis reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The director's wall clock against the capture's: ``offset_s`` is director minus capture."""

    before_s: float
    after_s: float
    from_t: float
    to_t: float
    boot_t: float | None  # director's clock at which its jiffies stood at their boot value

    def at_ns(self, t: float) -> int:
        """An instant of the director's clock on the capture's, Unix ns."""
        span_s = self.to_t - self.from_t
        share = min(max((t - self.from_t) / span_s, 0), 1) if span_s > 0 else 0
        offset_s = self.before_s + (self.after_s - self.before_s) * share
        return checked_ns(round(t * 1e6) * 1000 - round(offset_s * NS_PER_S))

    def uptime_s(self, t: float) -> float:
        """The director's uptime; since its first poll where its boot is not known."""
        return t - (self.boot_t if self.boot_t is not None else self.from_t)


def checked_ns(at_ns: int) -> int:
    """An instant that a recording can hold.

    Raises:
        ValueError: it is before 1970 or after ``LATEST_NS``.
    """
    if not 0 <= at_ns <= LATEST_NS:
        raise ValueError(f"instant {at_ns} ns: expected one from 1970 to 2116")
    return at_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is imported.

    Attributes:
        meta: what ``meta.json`` contains.
        log: None without one.
        captures: where each lies unpacked, by the path that it was named by, the earliest first.
        passed_by: files of a folder that are nothing to import, and why.
        files: the same, opened, by the same names as text.
        read: their packets.
        thrown_away: the run directory is: it has no captures, as ``read`` has them.
    """

    meta: Mapping[str, Any]
    log: PollLog | None
    captures: Mapping[Path, Path]
    passed_by: Sequence[tuple[Path, str]]
    files: Mapping[str, InputFile]
    read: ReadOnce
    thrown_away: bool

    def taken_by(self, path: Path) -> TakenBy:
        """How the run directory takes a capture: what was unpacked is nobody else's."""
        return "copy" if path == self.captures[path] else "link"


@dataclass(frozen=True, slots=True)
class Imported:
    """A run directory that was made of files.

    Attributes:
        doubts: at most ``MAX_WARNINGS`` lines for the operator.
        read: its captures; None without any, and where they cannot be analysed beside the log.
    """

    doubts: list[str]
    read: ReadOnce | None


@contextmanager
def imported(
    paths: Sequence[Path], directory: Path, means: Means = ALONE, *, thrown_away: bool = False
) -> Iterator[Imported]:
    """Write a run directory from what is found; what was read of captures goes on leaving.

    Args:
        paths: captures, logs and a ``meta.json``, packed or not, patterns of them, or folders.
        directory: the run's.
        means: what the reading of long captures may use.
        thrown_away: the directory is not kept, and holds no captures.

    Raises:
        UsageProblem: nothing to import, or a file that is not what it should be; then nothing is
            left of the directory.
        RecordingError: the directory cannot take a recording.
    """
    found = find_sources(paths)
    log = _log_of(found)
    with ExitStack() as closing:
        captures = closing.enter_context(unpacked(found.captures, directory))
        files = {str(path): opened(file) for path, file in captures.items()}
        size_bytes = sum(map(len, files.values()))
        store = closing.enter_context(store_for(directory.parent, size_bytes, means))
        sources = Sources(
            meta=found.meta,
            log=log,
            captures=captures,
            passed_by=found.passed_by,
            files=files,
            read=ReadOnce(files, store),
            thrown_away=thrown_away,
        )
        yield _import(sources, directory)


def _log_of(found: ImportFiles) -> PollLog | None:
    if found.log is None:
        return None
    from loadgen.importing.polls import in_order  # a capture alone needs no reader of logs

    return in_order(found.log)


def _overview_of(log: PollLog | None) -> Overview:
    if log is None:
        return Overview()
    from loadgen.importing.polls import overview_of

    return overview_of(log)


def _import(sources: Sources, directory: Path) -> Imported:
    overview = _overview_of(sources.log)
    try:
        log_clock = _joined(sources, overview)
        clock = _clock(sources.meta, overview, log_clock.offset_s)
        service, guess = _service(sources)
        timeouts = given_timeouts(sources.meta, META, overview.timeouts, DIRECTOR, clock.at_ns)
        manifest = _manifest(sources, clock, service, timeouts, log_clock)
        _check(manifest)
        events = events_of(sources.meta, DIRECTOR, clock.at_ns)
        for event in events:
            checked_ns(event["at"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UsageProblem(f"{META}: {type(error).__name__}: {error}") from error
    with removed_on_failure(directory):
        recording = RecordingWriter(directory, manifest)
        lost: list[str] = []
        if not sources.thrown_away:
            lost = _take_captures(sources, recording, left_out=log_clock.leaves_capture_out)
        recording.extend("events", [*events, *timeouts.events])
        warnings: list[str] = []
        if sources.log:
            from loadgen.importing.recorded_log import record_log

            kernel = sources.meta.get("kernel")
            warnings = record_log(sources.log, overview, clock, recording, DIRECTOR, kernel)
        recording.close("completed")
    passed_by = [f"{path}: passed by: {why}" for path, why in sources.passed_by]
    doubts = [*lost, *passed_by, *guess, *warnings][:MAX_WARNINGS]
    if sources.captures and not log_clock.leaves_capture_out:
        return Imported(doubts, sources.read)
    sources.read.forget()
    return Imported(doubts, read=None)


def _check(manifest: Mapping[str, Any]) -> None:
    """Refuse what an analysis could not use."""
    try:
        manifest_of(manifest)
    except RecordingError as error:
        raise UsageProblem(f"{META}: {error}") from error


def _take_captures(sources: Sources, recording: RecordingWriter, *, left_out: bool) -> list[str]:
    """Take in as much of each capture as was there: a line for each that was cut off since."""
    lost = []
    for number, path in enumerate(sources.captures):
        file, name = sources.files[str(path)], _capture_name(number, left_out=left_out)
        taken_bytes = recording.take_capture(name, file, sources.taken_by(path))
        if taken_bytes < len(file):
            size = f"{taken_bytes:,} of its {len(file):,} bytes"
            lost.append(f"{path}: cut off while it was read: the run's copy has {size}")
    return lost


def _capture_name(number: int, *, left_out: bool) -> str:
    """Of a capture, from 0; as a rotated one is named (``analyzer.recording.directory.layout``)."""
    first = NOT_JOINED if left_out else CAPTURE
    return f"{first.removesuffix('.pcap')}-{number:05}.pcap" if number else first


@contextmanager
def removed_on_failure(directory: Path) -> Iterator[None]:
    """Remove what was written to a directory, and the directory if it is new, on any exception."""
    existing = set(directory.iterdir()) if directory.is_dir() else None
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        if existing is None and missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        for path in set(directory.iterdir()) - existing if existing is not None else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _service(sources: Sources) -> tuple[dict[str, Any] | None, list[str]]:
    """The virtual service: as given, else, for a capture alone, the target of most SYNs."""
    meta = sources.meta
    if meta.get("vip") and meta.get("port") is not None:
        protocol = str(meta.get("protocol", "TCP"))
        vip, port = str(ip_address(str(meta["vip"]))), int(meta["port"])
        return {"protocol": protocol, "vip": vip, "port": port}, []
    if sources.log or not sources.captures:
        return None, []
    return _busiest(sources, sources.read.packets())


def _busiest(sources: Sources, packets: PacketTable) -> tuple[dict[str, Any] | None, list[str]]:
    store = sources.read.store
    opened = busiest_end(packets, store)
    end = opened or busiest_datagram_end(packets, store)
    if end is None:
        shown = ", ".join(map(str, sources.captures))
        what = "no SYN in it and no UDP, so no virtual service to be seen"
        return None, [f"{shown}: {what}; if directors advertise in it, masters are reported"]
    service = {"protocol": end.protocol, "vip": end.vip, "port": end.port}
    shown, why = host_port(end.vip, end.port), "most SYNs go there"
    if not opened:
        shown, why = f"UDP {shown}", "most UDP conversations are with it"
    return service, [f"the virtual service is taken to be {shown}: {why}"]


def _joined(sources: Sources, overview: Overview) -> Joined:
    """How the log's times were read, and where they lie on the capture's clock."""
    given = (sources.meta.get("clock") or {}).get("offset_s_before") is not None
    mac = (sources.meta.get("director") or {}).get("mac")
    log = sources.log
    if log is None:
        return Joined()
    read = stamps_of(list(overview.stamps)) if overview.stamps else EPOCH
    if not sources.captures or given:
        return Joined(stamps=read)
    from loadgen.importing.polls import polls_of

    placed = placed_by_events(
        lambda: (Poll(t=poll.t, printed=poll.services()) for poll in polls_of(log)),
        (overview.first_t, overview.last_t),
        read,
        frozenset([mac_number(str(mac))] if mac else []),
        sources.read,
    )
    return Joined(stamps=read, placed=placed)


def _clock(meta: Mapping[str, Any], overview: Overview, shift_s: float) -> Clock:
    offsets = meta.get("clock") or {}
    before_s = float(offsets.get("offset_s_before") or shift_s)
    after_s = float(offsets.get("offset_s_after") or before_s)
    if not (abs(before_s) < LATEST_S and abs(after_s) < LATEST_S):
        raise ValueError(f"clock: offset: expected less than {LATEST_S} s")
    jiffies = meta.get("jiffies") or {}
    boot_t = jiffies.get("t_boot_value")
    return Clock(
        before_s=before_s,
        after_s=after_s,
        from_t=overview.first_t,
        to_t=overview.last_t,
        boot_t=None if boot_t is None else float(boot_t),
    )


def _manifest(
    sources: Sources,
    clock: Clock,
    service: Mapping[str, Any] | None,
    timeouts: GivenTimeouts,
    log_clock: Joined,
) -> dict[str, Any]:
    meta = sources.meta
    director = _director(meta, clock, timeouts)
    return {
        "command": "import",
        "imported": {
            "poll_log": str(sources.log) if sources.log else None,
            "capture": ", ".join(map(str, sources.captures)) or None,
            "scenario": meta.get("scenario"),
            "log_clock": log_clock.manifest(),
        },
        "started_at_ns": clock.at_ns(clock.from_t) if sources.log else None,
        "forwarding": meta.get("forwarding"),
        "service": service,
        "directors": {DIRECTOR: director | {"clock_uncertainty_s": log_clock.uncertainty_s}},
        "capture": {"dropped": None}
        if sources.captures and not log_clock.leaves_capture_out
        else None,
        "not_measured": _not_measured(sources, log_clock),
    }


def _director(meta: Mapping[str, Any], clock: Clock, timeouts: GivenTimeouts) -> dict[str, Any]:
    mac = (meta.get("director") or {}).get("mac")
    return {
        "link": "imported",
        "kernel": meta.get("kernel"),
        "hz": meta.get("hz"),
        "timer_phase_s": None if clock.boot_t is None else 0.0,
        "timer_phase_source": None if clock.boot_t is None else META,
        "timeouts": timeouts.manifest(),
        "timeouts_source": timeouts.source,
        "conn_tab_size": meta.get("conn_tab_size"),
        "sysctl": {name: str(value) for name, value in (meta.get("sysctl") or {}).items()},
        "macs": [mac] if mac else [],
        "uptime_step_s": 0.0,
        "clock_is_known": (meta.get("clock") or {}).get("offset_s_before") is not None,
    }


def _not_measured(sources: Sources, log_clock: Joined) -> list[dict[str, str]]:
    rows = [{"what": path.name, "why": why} for path, why in sources.passed_by]
    if sources.log is None:
        rows.append({"what": "ActiveConn, InActConn and entries", "why": "no poll log"})
    if not sources.captures:
        rows.append({"what": "packets, and so every prediction", "why": "no capture"})
    elif log_clock.placed is not None and not log_clock.placed.joined:
        what = "the capture beside the log, and so every prediction"
        rows.append({"what": what, "why": log_clock.placed.why})
    rows.append({"what": "requests and their latencies", "why": "imported, not sent by loadgen"})
    return rows
