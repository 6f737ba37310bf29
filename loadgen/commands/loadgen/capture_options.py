"""The options of every command that captures packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.capture.model import CaptureWith
    from loadgen.capture.start import CaptureOptions

_WITHOUT = click.option(
    "--no-capture", "capture", flag_value=False, default=True, help="Capture no packets."
)
_WITH = click.option("--capture", is_flag=True, help="Also capture the packets of the service.")
_OPTIONS = (
    click.option(
        "--interface", help="Interface to capture on; by default the one that routes to the VIP."
    ),
    click.option(
        "--capture-with",
        type=click.Choice(["auto", "ring", "scapy"]),
        default="auto",
        show_default=True,
        help="A memory-mapped packet ring, or scapy's packet socket.",
    ),
    click.option(
        "--capture-on",
        default="client",
        show_default=True,
        metavar="HOST",
        help="Host to capture on: a director or server of the run by name, or a link as for "
        "--director; tcpdump runs there.",
    ),
    click.option(
        "--capture-size",
        type=SIZE,
        help="Total size of the capture files, such as 500M; beyond it the oldest are deleted.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFlags:
    """The flags of a capture, as given."""

    capture: bool
    interface: str | None
    capture_with: CaptureWith
    capture_on: str
    capture_size: int | None


def capture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that captures by default."""
    return _with(command, _WITHOUT)


def options_of_wanted_capture(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that captures with --capture only."""
    return _with(command, _WITH)


def _with(command: Callable[..., Any], switch: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((switch, *_OPTIONS)):
        command = option(command)
    return command


def capture_given(flags: CaptureFlags) -> CaptureOptions:
    """The capture that the flags describe."""
    from loadgen.capture.start import CaptureOptions

    return CaptureOptions(
        wanted=flags.capture,
        interface=flags.interface,
        captured_with=flags.capture_with,
        size_bytes=flags.capture_size,
    )
