"""A folder of a poll log, a capture and ``meta.json``, any of them missing, to a run directory.

The poll log is JSON lines, plain or gzipped: ``{"t": epoch seconds on the director's clock,
"services": text of /proc/net/ip_vs, "connections": text of /proc/net/ip_vs_conn}``; or what a loop
of ``ipvsadm -Ln`` or ``-Lnc`` printed, with times (``loadgen.importing.log``).
"""

from __future__ import annotations

import gzip
import json
import shutil
import time
import zlib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError
from analyzer.ipvs.proc.entry_rows import AddressNames
from analyzer.ipvs.proc.formats import parse_entries, parse_services
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_diff.reads import Proof
from analyzer.ipvs.table_diff.tracking import TableTracker
from analyzer.recording.directory import CAPTURE, RecordingWriter, mapped
from analyzer.recording.manifest import manifest_of
from analyzer.units import NS_PER_S
from analyzer.wire.packets import mac_number, read_packets
from analyzer.wire.segments import busiest_end
from loadgen.director.polling.rows import RESIZING, counters_alone, service_rows
from loadgen.errors import UsageProblem
from loadgen.importing.commands import events_of
from loadgen.importing.joining import EPOCH, Joined, Poll, placed_by_events
from loadgen.importing.log import before_looks, looks
from loadgen.importing.printed import Printed, from_printed
from loadgen.importing.proofs import Proofs, table_resizes
from loadgen.importing.stamps import Stamp, stamps_of
from loadgen.importing.timeouts import GivenTimeouts, given_timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.ipvs.proc.formats import EntryTable
    from analyzer.ipvs.table_diff.tracking import Changes

DIRECTOR = "director"
META = "meta.json"
NOT_JOINED = "not-joined.pcap"
"""A capture that cannot be looked at beside its log: no analysis reads it."""

_CAPTURE_SUFFIXES = {".pcap", ".pcapng", ".cap"}
_POLL_LOG_SUFFIXES = {".jsonl", ".ndjson"}
_TEXT_LOG_SUFFIXES = {".log", ".txt"}
_LATEST_T = 2**33  # in the year 2242
_MAX_LINE_BYTES = 256 * 1024 * 1024
_HEADER_CHARACTERS = 200
"""The first line of /proc/net/ip_vs, and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFiles:
    """What was found to import."""

    meta: Mapping[str, Any]
    log: Path | None
    capture: Path | None


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
        return round(t * 1e6) * 1000 - round(offset_s * NS_PER_S)

    def uptime_s(self, t: float) -> float:
        """The director's uptime; since its first poll where its boot is not known."""
        return t - (self.boot_t if self.boot_t is not None else self.from_t)


def find_sources(paths: list[Path]) -> ImportFiles:
    """The log, the capture and the meta file among paths; a folder is searched.

    Raises:
        UsageProblem: nothing to import, two of a kind, or a meta file that is none.
    """
    files = [file for path in paths for file in _files(path)]
    log = _one(files, _is_log, "poll log")
    capture = _one(files, lambda file: file.suffix in _CAPTURE_SUFFIXES, "capture")
    meta = _one(files, lambda file: file.name == META, META)
    if log is None and capture is None:
        shown = ", ".join(map(str, paths))
        expected = "capture (.pcap, .pcapng), poll log (.jsonl) or ipvsadm log (.log, .txt)"
        raise UsageProblem(f"{shown}: no {expected} there")
    return ImportFiles(meta=_read_meta(meta), log=log, capture=capture)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UsageProblem(f"{path}: no such file or folder")
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def _is_log(file: Path) -> bool:
    name = file.name.removesuffix(".gz")
    return Path(name).suffix in _POLL_LOG_SUFFIXES | _TEXT_LOG_SUFFIXES


def _one(files: list[Path], belongs: Any, what: str) -> Path | None:
    matching = [file for file in files if belongs(file)]
    if len(matching) > 1:
        raise UsageProblem(f"{matching[1]}: a second {what}; expected one")
    return matching[0] if matching else None


def _read_meta(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        meta = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageProblem(f"{path}: {error}") from error
    if not isinstance(meta, dict):
        raise UsageProblem(f"{path}: expected a JSON object")
    return meta


def import_folder(paths: list[Path], directory: Path) -> list[str]:
    """Write a run directory from what is found; lines of doubt, for the operator.

    Raises:
        UsageProblem: nothing to import, or a file that is not what it should be.
        RecordingError: the directory cannot take a recording.
    """
    sources = find_sources(paths)
    polls = list(_polls_of(sources.log)) if sources.log else []
    if sources.log and not polls:
        raise UsageProblem(f"{sources.log}: no output with a time found in it")
    try:
        log_clock = _joined(sources, polls)
        clock = _clock(sources.meta, polls, log_clock.offset_s)
        service, guess = _service(sources, polls)
        timeouts = given_timeouts(sources.meta, META, _timeouts(polls), DIRECTOR, clock.at_ns)
        manifest = _manifest(sources, clock, polls, service, timeouts, log_clock)
        manifest_of(manifest)  # what an analysis could not use is refused here
        events = events_of(sources.meta, DIRECTOR, clock.at_ns)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UsageProblem(f"{META}: {type(error).__name__}: {error}") from error
    except RecordingError as error:
        raise UsageProblem(f"{META}: {error}") from error
    recording = RecordingWriter(directory, manifest)
    if sources.capture:
        name = NOT_JOINED if log_clock.leaves_capture_out else CAPTURE
        shutil.copyfile(sources.capture, recording.path / name)
    recording.extend("events", [*events, *timeouts.events])
    doubts = _record_polls(polls, clock, recording, sources.meta.get("kernel"))
    recording.close("completed")
    return guess + doubts


def _service(
    sources: ImportFiles, polls: list[Mapping[str, Any]]
) -> tuple[dict[str, Any] | None, list[str]]:
    """The virtual service: as given, else, for a capture alone, the target of most SYNs."""
    meta = sources.meta
    if meta.get("vip") and meta.get("port") is not None:
        protocol = str(meta.get("protocol", "TCP"))
        vip, port = str(ip_address(str(meta["vip"]))), int(meta["port"])
        return {"protocol": protocol, "vip": vip, "port": port}, []
    if polls or sources.capture is None:
        return None, []
    end = busiest_end(read_packets(mapped(sources.capture)))
    if end is None:
        return None, [f"{sources.capture}: no SYN in it, so no virtual service to be seen"]
    service = {"protocol": end.protocol, "vip": end.vip, "port": end.port}
    return service, [f"the virtual service is taken to be {end.vip}:{end.port}: most SYNs go there"]


def _polls_of(path: Path) -> Iterator[Mapping[str, Any]]:
    """A log's looks: ``t``, and ``services`` and ``connections`` as texts or as parsed."""
    if Path(path.name.removesuffix(".gz")).suffix in _POLL_LOG_SUFFIXES:
        return _polls(path)
    return _printed(path)


def _printed(path: Path) -> Iterator[Mapping[str, Any]]:
    year = time.gmtime(path.stat().st_mtime).tm_year
    before = from_printed(before_looks(_texts(path))).timeouts
    for look in looks(_texts(path), year):
        yield {
            "t": look.at_s,
            "stamp": look.stamp,
            "printed": from_printed(look.text),
            "timeouts_before": before,
        }
        before = None


def _texts(path: Path) -> Iterator[str]:
    return (line.decode(errors="replace") for line in _lines(path))


def _lines(path: Path) -> Iterator[bytes]:
    """A file's lines, unpacked; of one that was cut off while it was packed, those before."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(_MAX_LINE_BYTES):
                yield line
    except EOFError:
        return
    except (OSError, zlib.error) as error:
        raise UsageProblem(f"{path}: not readable: {error}") from error


def _polls(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            poll = json.loads(line)
            _checked(float(poll["t"]))
        except (ValueError, KeyError, OverflowError, TypeError, RecursionError):
            if not line.endswith(b"\n"):
                return  # cut off while it was written
            raise UsageProblem(
                f'{path}: line {number}: expected {{"t": …, "services": …, "connections": …}}'
            ) from None
        yield poll


def _checked(t: float) -> float:
    """A time that a recording can hold."""
    if not 0 <= t < _LATEST_T:
        raise ValueError(f"time {t}: expected seconds since 1970")
    return t


def _joined(sources: ImportFiles, polls: list[Mapping[str, Any]]) -> Joined:
    """How the log's times were read, and where they lie on the capture's clock."""
    stamps = [poll["stamp"] for poll in polls if isinstance(poll.get("stamp"), Stamp)]
    given = (sources.meta.get("clock") or {}).get("offset_s_before") is not None
    mac = (sources.meta.get("director") or {}).get("mac")
    if not polls:
        return Joined()
    read = stamps_of(stamps) if stamps else EPOCH
    if sources.capture is None or given:
        return Joined(stamps=read)
    placed = placed_by_events(
        [Poll(t=float(poll["t"]), printed=_services_in(poll)) for poll in polls],
        read,
        mapped(sources.capture),
        sources.capture.name,
        frozenset([mac_number(str(mac))] if mac else []),
    )
    return Joined(stamps=read, placed=placed)


def _services_in(poll: Mapping[str, Any]) -> Printed:
    """One look, without the entries of a log of JSON lines: they may be a million."""
    if isinstance(poll.get("printed"), Printed):
        return _printed_in(poll)
    return Printed(services=parse_services(str(poll.get("services") or "")).services)


def _clock(meta: Mapping[str, Any], polls: list[Mapping[str, Any]], shift_s: float) -> Clock:
    offsets = meta.get("clock") or {}
    before_s = float(offsets.get("offset_s_before") or shift_s)
    if not abs(before_s) < _LATEST_T:
        raise ValueError(f"clock: offset {before_s}")
    jiffies = meta.get("jiffies") or {}
    boot_t = jiffies.get("t_boot_value")
    return Clock(
        before_s=before_s,
        after_s=float(offsets.get("offset_s_after") or before_s),
        from_t=float(polls[0]["t"]) if polls else 0.0,
        to_t=float(polls[-1]["t"]) if polls else 0.0,
        boot_t=None if boot_t is None else float(boot_t),
    )


def _manifest(
    sources: ImportFiles,
    clock: Clock,
    polls: list[Mapping[str, Any]],
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
            "capture": str(sources.capture) if sources.capture else None,
            "scenario": meta.get("scenario"),
            "log_clock": log_clock.manifest(),
        },
        "started_at_ns": clock.at_ns(clock.from_t) if polls else None,
        "forwarding": meta.get("forwarding"),
        "service": service,
        "directors": {DIRECTOR: director | {"clock_uncertainty_s": log_clock.uncertainty_s}},
        "capture": {"dropped": None}
        if sources.capture and not log_clock.leaves_capture_out
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


def _not_measured(sources: ImportFiles, log_clock: Joined) -> list[dict[str, str]]:
    rows = []
    if sources.log is None:
        rows.append({"what": "ActiveConn, InActConn and entries", "why": "no poll log"})
    if sources.capture is None:
        rows.append({"what": "packets, and so every prediction", "why": "no capture"})
    elif log_clock.placed is not None and not log_clock.placed.joined:
        what = "the capture beside the log, and so every prediction"
        rows.append({"what": what, "why": log_clock.placed.why})
    rows.append({"what": "requests and their latencies", "why": "imported, not sent by loadgen"})
    return rows


def _record_polls(
    polls: list[Mapping[str, Any]], clock: Clock, recording: RecordingWriter, kernel: Any
) -> list[str]:
    tracker, names = TableTracker(busy_too=True), AddressNames()
    sizes = [_size_in(poll) for poll in polls]
    proofs = Proofs(sizes) if table_resizes(str(kernel or ""), sizes) else None
    doubts: list[str] = []
    for number, poll in enumerate(polls):
        t = float(poll["t"])
        at_ns = clock.at_ns(t)
        look = _printed_in(poll)
        doubts += look.warnings
        rows = [
            row
            for printed_look in look.services
            for row in service_rows(printed_look, look.counters, look.rates)
        ]
        rows += counters_alone(look.counters, look.rates, look.services)
        recording.extend("services", [{"at": at_ns, "director": DIRECTOR} | row for row in rows])
        proof, table = None, look.table
        if table is not None:
            proof = proofs.of(number, table, look.services) if proofs else None
            found = names.rows_of(table.entries)
            _record_changes(tracker.update(at_ns, found, table.lines, proof), names, recording)
        row = _poll_row(at_ns, clock.uptime_s(t), table)
        what = RESIZING if proof is Proof.NOTHING else row["what"]
        recording.append("polls", row | {"what": what, "buckets": sizes[number]})
    _record_changes(tracker.finish(), names, recording)
    return doubts


def _record_changes(changes: Changes, names: AddressNames, recording: RecordingWriter) -> None:
    if len(changes):
        columns = changes.columns(names.columns) | {"director": DIRECTOR}
        recording.extend_columns("entries", columns)


def _size_in(poll: Mapping[str, Any]) -> int | None:
    """Buckets of the table, where this look tells them."""
    printed = poll.get("printed")
    if isinstance(printed, Printed):
        return printed.size
    return parse_services(str(poll.get("services") or "")[:_HEADER_CHARACTERS]).conn_tab_size


def _printed_in(poll: Mapping[str, Any]) -> Printed:
    """One look of either kind of log."""
    printed = poll.get("printed")
    if isinstance(printed, Printed):  # which no JSON line holds
        return printed
    services = parse_services(str(poll.get("services") or ""))
    if poll.get("connections") is None:
        return Printed(services=services.services, warnings=services.warnings)
    table = parse_entries(str(poll["connections"]))
    warnings = services.warnings + table.warnings
    return Printed(services=services.services, table=table, warnings=warnings)


def _timeouts(polls: list[Mapping[str, Any]]) -> Iterator[tuple[float, Timeouts]]:
    """The timeouts that were printed, and when."""
    for poll in polls:
        t, before = float(poll["t"]), poll.get("timeouts_before")
        if isinstance(before, Timeouts):
            yield t, before
        now = _printed_in(poll).timeouts if "printed" in poll else None
        if now is not None:
            yield t, now


def _poll_row(at_ns: int, uptime_s: float, table: EntryTable | None) -> dict[str, Any]:
    return {
        "at": at_ns,
        "director": DIRECTOR,
        "what": "services" if table is None else "entries",
        "took_ms": 0.0,
        "entries": None if table is None else table.lines,
        "asked": at_ns,
        "director_uptime_s": uptime_s,
    }
