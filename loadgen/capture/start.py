"""The captures that a run was asked for, opened; where one is not to be had, the run says so."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from loadgen.capture.events import NO_PACKETS
from loadgen.capture.local import Capture
from loadgen.capture.model import CapturePlan, CaptureRefused
from loadgen.capture.remote.capture import RemoteCapture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.recording.directory import RecordingWriter
    from loadgen.capture.model import CaptureWith
    from loadgen.director.links.link import Link
    from loadgen.target import Target

AnyCapture = Capture | RemoteCapture
_ROUTE_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """What the operator said of the capture.

    Attributes:
        wanted: False is ``--no-capture``.
        interface: to listen on; None to find the one that leads to the VIPs.
        captured_with: see ``CapturePlan``.
        size_bytes: see ``CapturePlan``.
    """

    wanted: bool = True
    interface: str | None = None
    captured_with: CaptureWith = "auto"
    size_bytes: int | None = None


def open_captures(
    options: CaptureOptions,
    targets: Sequence[Target],
    recording: RecordingWriter,
    say: Callable[[str], None],
    *,
    on: Link | None,
    client_interface: str | None,
) -> list[AnyCapture]:
    """The run's captures; none, a line, and a row of what is not measured, where it has to be.

    Args:
        options: the operator's.
        targets: whose packets are wanted, one or more.
        recording: takes the files, the events and what is not measured.
        say: takes a line for the operator.
        on: the host that captures; None for the client.
        client_interface: the client's one towards the VIP; None where it must be found.
    """
    if not options.wanted:
        _miss(recording, "--no-capture")
        return []
    plan = CapturePlan(
        targets=tuple(targets),
        path=recording.capture_path,
        captured_with=options.captured_with,
        size_bytes=options.size_bytes,
    )
    record_event = partial(recording.append, "events")
    try:
        if on is not None:
            ours = address_towards(targets[0].vip)
            far = RemoteCapture(on, options.interface, ours, plan, record_event, say)
            return [far]
        interface = options.interface or client_interface or _one_interface(targets)
        return [Capture(interface, plan, record_event)]
    except CaptureRefused as error:
        say(f"{error}; the run goes on without")
        _miss(recording, str(error))
        return []


def _miss(recording: RecordingWriter, why: str) -> None:
    rows = [*recording.manifest["not_measured"], {"what": NO_PACKETS, "why": why}]
    recording.update_manifest({"not_measured": rows})


def _one_interface(targets: Sequence[Target]) -> str:
    """The interface that leads to all of them: packets of some alone would predict too little.

    Raises:
        CaptureRefused: there is none.
    """
    names = dict.fromkeys(interface_to(vip) for vip in dict.fromkeys(t.vip for t in targets))
    if len(names) > 1:
        raise CaptureRefused(
            f"no capture: the targets are reached through {', '.join(names)}; name an interface "
            "that shows the packets of all with --interface"
        )
    return next(iter(names))


def interface_to(address: str) -> str:
    """The interface that the kernel would send to an address through.

    Raises:
        CaptureRefused: there is no way to it.
    """
    argv = ["ip", "-json", "route", "get", address]
    try:
        shown = subprocess.run(
            argv, capture_output=True, text=True, check=True, timeout=_ROUTE_LIMIT_S
        )
        return str(json.loads(shown.stdout)[0]["dev"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        raise CaptureRefused(f"no capture: no route to {address}") from error


def address_towards(address: str) -> str:
    """Our own address on the way to another; nothing is sent.

    Raises:
        CaptureRefused: there is no way to it.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))
            return str(sock.getsockname()[0])
    except OSError as error:
        raise CaptureRefused(f"no capture: no route to {address}") from error
