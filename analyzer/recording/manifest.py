"""``run.json`` as types. It is decoded and checked here, at once, and nowhere else.

A key that is missing or null is not known. A key that no type has stays in ``Manifest.raw`` and
harms nobody: recordings are older and newer than this program, and people write into them. A value
of another type, or beyond what it can be, is one error of one line that names the key and what was
expected there. It never shows the value: nobody knows who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from ipaddress import ip_address
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from analyzer.errors import RecordingError
from analyzer.ipvs.table_status import TableStatus
from analyzer.recording.log_clock import LogClock
from analyzer.results import NotMeasured
from analyzer.wire.segments import VirtualEnd

Seconds = Annotated[float, Meta(ge=0, le=1e9)]
SecondsEitherWay = Annotated[float, Meta(ge=-1e9, le=1e9)]
Instant = Annotated[int, Meta(ge=0, le=2**62)]
"""Unix time, ns."""
Count = Annotated[int, Meta(ge=0, le=2**40)]
Rate = Annotated[float, Meta(ge=0, le=1e15)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Bytes = Annotated[int, Meta(ge=0, le=2**40)]
_DIGITS = Meta(pattern="^-?[0-9]{1,9}$")
Sysctl = Annotated[int, Meta(ge=-(2**31), le=2**32)] | Annotated[str, _DIGITS]
"""As its file below ``/proc/sys`` has it, or as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where the program ran."""

    name: str | None = None
    kernel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The virtual service that load was sent to."""

    vip: str
    port: Port
    protocol: str = "TCP"

    def __post_init__(self) -> None:
        """Refuse a VIP that is no address."""
        try:
            ip_address(self.vip)
        except ValueError:
            raise ValueError("Expected an IP address as `vip`") from None

    @property
    def end(self) -> VirtualEnd:
        """As packets give it: IPv6 has many spellings."""
        return VirtualEnd(self.protocol, str(ip_address(self.vip)), self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Of an open model's schedule."""

    duration_s: Seconds
    rate_per_s: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When requests were to be begun; ``arrivals`` is ``uniform`` or ``poisson``."""

    arrivals: str | None = None
    requests: Count | None = None
    duration_s: Seconds | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked of the service."""

    authority: str | None = None
    server_name: str | None = None
    redirects: Count = 0  # to follow at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was to be sent.

    Attributes:
        requests: as programs before 0.2 wrote it; now in ``arrivals``.
        close: shares of the ways of closing.
    """

    engine: str | None = None
    model: str | None = None
    arrivals: Arrivals = Arrivals()
    requests: Count | None = None
    request: Request = Request()
    close: Mapping[str, Rate] = field(default_factory=dict)
    hold_s: Seconds = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutsSet:
    """As ``ipvsadm --set`` has them."""

    tcp: Seconds
    tcpfin: Seconds
    udp: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctls:
    """Those below ``net.ipv4.vs`` that change what is predicted; the kernel's defaults."""

    conn_reuse_mode: Sysctl = 1
    conntrack: Sysctl = 0
    expire_nodest_conn: Sysctl = 0
    expire_quiescent_template: Sysctl = 0
    secure_tcp: Sysctl = 0
    drop_entry: Sysctl = 0
    conn_max: Sysctl = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorFacts:
    """What is written of one director; ``analyzer.recording.director.Director`` explains it."""

    link: str | None = None
    kernel: str | None = None
    hz: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    timer_phase_s: SecondsEitherWay | None = None
    timer_phase_uncertainty_s: Seconds = 0
    timeouts: TimeoutsSet | None = None
    timeouts_source: str | None = None
    conn_tab_size: Count | None = None
    entry_bytes: Annotated[int, Meta(ge=100, le=4096)] | None = None
    table_status: TableStatus | None = None
    table_status_fullest: TableStatus | None = None
    table_status_at_end: TableStatus | None = None
    sysctl: Sysctls = Sysctls()
    macs: tuple[str, ...] = ()
    uptime_step_s: Seconds | None = None
    boot_at_ns: Instant | None = None
    clock_uncertainty_ms: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    clock_uncertainty_s: Seconds = 0
    clock_is_known: bool = True
    has_service: bool | None = None
    real_servers: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """How packets were captured; ``dropped`` is what the kernel counted as missed."""

    dropped: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a recording was made of that no run of ours wrote."""

    log_clock: LogClock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What ``--keep`` left of a long watch; ``from_ns`` is None while nothing was deleted."""

    limit: str | None = None
    from_ns: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverFacts:
    """What the run knows of its fault; instants are None where nobody ordered anything.

    Attributes:
        fault: in words, such as ``bal01: link-down``; None where the run waited for one.
        ordered_ns, done_ns: the fault came between these.
        after_s, tail_s: how long it was to last, and to be watched once it was undone.
        runs_planned: of the row of repeated runs.
        probed: load was sent on schedule all the while, so that gaps in it mean something.
        why_insane: what was wrong with the set-up before the fault, or with the fault.
    """

    fault: str | None = None
    ordered_ns: Instant | None = None
    done_ns: Instant | None = None
    undo_ordered_ns: Instant | None = None
    after_s: Seconds | None = None
    tail_s: Seconds | None = None
    runs_planned: Count | None = None
    probed: bool = True
    why_insane: tuple[str, ...] = ()

    @property
    def course_s(self) -> float | None:
        """How long the run was to go on from the fault; None where that is not known."""
        if self.after_s is None or self.tail_s is None:
            return None
        return self.after_s + self.tail_s


Window = tuple[Instant, Instant]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFacts:
    """One loss of directors in a proof of capacity, and the windows before and after it."""

    down: tuple[Count, ...]
    before_ns: Window | None = None
    crashed_ns: Instant | None = None
    after_ns: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabLink:
    """A director's link in the lab."""

    rate_bps: Annotated[float, Meta(gt=0, le=1e15)]
    bucket_bytes: Bytes
    queue_bytes: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFacts:
    """A proof of capacity; ``analyzer.capacity.proof.Experiment`` explains it."""

    hosts: Annotated[int, Meta(ge=1, le=1000)]
    failures: Count
    link_bps: Fraction
    ingress_bps: Fraction
    burst: Fraction
    lists: tuple[tuple[Count, ...], ...]
    vips: tuple[str, ...]
    directors: tuple[str, ...]
    scale: Annotated[float, Meta(gt=0, le=1e15)]
    lab_link: LabLink
    planned: Count
    losses: tuple[LossFacts, ...]

    def __post_init__(self) -> None:
        """Refuse lists that do not belong to the VIPs and directors."""
        numbers = {number for order in self.lists for number in order}
        numbers |= {number for loss in self.losses for number in loss.down}
        if len(self.lists) != len(self.vips) or max(numbers, default=0) >= len(self.directors):
            raise ValueError("Expected `lists` with an order of `directors` for each of `vips`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a recording says of itself.

    Attributes:
        raw: all of ``run.json``, also what no type here names.
        ended: how the run ended, as ``analyzer.recording.ending`` reads it; None where it was cut
            off.
        planned_s: how long a watch was to last.
        not_measured: what the run itself knows that it did not measure.
    """

    command: str | None = None
    command_line: tuple[str, ...] | None = None
    started_at_ns: Instant | None = None
    ended_at_ns: Instant | None = None
    planned_s: Seconds | None = None
    ended: str | None = None
    host: Host = Host()
    lab: str | None = None
    service: Service | None = None
    forwarding: str | None = None
    plan: Plan = Plan()
    directors: Mapping[str, DirectorFacts] = field(default_factory=dict)
    capture: Capture = Capture()
    imported: Imported = Imported()
    kept: Kept = Kept()
    not_measured: tuple[NotMeasured, ...] = ()
    failover: FailoverFacts | None = None
    proof: ProofFacts | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


def manifest_of(document: object, where: str = "run.json") -> Manifest:
    """Decode and check.

    Args:
        document: of ``run.json``, as JSON gives it.
        where: its path, for the error.

    Raises:
        RecordingError: a value is not what its key means.
    """
    try:
        raw = _as_text(document)
        known = _without_nulls(raw)
        if isinstance(known, dict):
            known["raw"] = raw
        return msgspec.convert(known, Manifest, dec_hook=_fraction)
    except msgspec.ValidationError as error:
        raise RecordingError(f"{where}: {_in_words(error)}") from None
    except RecursionError:
        raise RecordingError(f"{where}: expected a JSON object of some levels") from None


def _as_text(value: Any) -> Any:
    """Without the halves of characters that JSON can hold, and no file."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_as_text(key): _as_text(item) for key, item in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list | tuple) else value


def _without_nulls(value: Any) -> Any:
    """Null is what a missing key is; in a list it is a value."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _fraction(kind: type, value: Any) -> Fraction:
    """``1000000000`` or ``5/2``; positive."""
    assert kind is Fraction
    if not isinstance(value, str) or not re.fullmatch(r"0*[1-9]\d{0,20}(/0*[1-9]\d{0,20})?", value):
        raise ValueError("Expected a positive fraction")
    return Fraction(value)


def _in_words(error: msgspec.ValidationError) -> str:
    """``directors[...].hz: expected int, got str``."""
    what, _, where = str(error).replace("`", "").partition(" - at ")
    what = what[:1].lower() + what[1:]
    place = where.removeprefix("$").removeprefix(".")
    return f"{place}: {what}" if place else what
