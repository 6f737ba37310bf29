"""The options of every command that captures packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgen.capture.start import CaptureOptions

_WITHOUT = click.option("--no-capture", is_flag=True, help="Capture no packets.")
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


def capture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that captures unless told not to."""
    return _with(command, _WITHOUT)


def options_of_wanted_capture(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that captures only when told to."""
    return _with(command, _WITH)


def _with(command: Callable[..., Any], switch: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((switch, *_OPTIONS)):
        command = option(command)
    return command


def capture_given(options: Mapping[str, Any]) -> CaptureOptions:
    """What these options say."""
    from loadgen.capture.start import CaptureOptions

    return CaptureOptions(
        wanted=options["capture"] if "capture" in options else not options["no_capture"],
        interface=options["interface"],
        captured_with=options["capture_with"],
        size_bytes=options["capture_size"],
    )
