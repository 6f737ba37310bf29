"""The options of every command that captures packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgen.capture.start import CaptureOptions

_OPTIONS = (
    click.option("--interface", help="To capture on; the one that leads to the VIP unless told."),
    click.option("--no-capture", is_flag=True, help="Do without the packets."),
    click.option(
        "--capture-with",
        type=click.Choice(["auto", "ring", "scapy"]),
        default="auto",
        show_default=True,
        help="A memory-mapped packet ring, or scapy's packet socket.",
    ),
    click.option(
        "--capture-size",
        type=SIZE,
        help="Of all capture files together, such as 500M; the oldest are deleted beyond it.",
    ),
)


def capture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the options of a capture."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def capture_told(options: Mapping[str, Any]) -> CaptureOptions:
    """What these options say."""
    from loadgen.capture.start import CaptureOptions

    return CaptureOptions(
        wanted=not options["no_capture"],
        interface=options["interface"],
        captured_with=options["capture_with"],
        size_bytes=options["capture_size"],
    )
