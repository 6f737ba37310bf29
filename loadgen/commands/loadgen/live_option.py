"""``--live`` and ``--openmetrics``: options of commands that show a run while it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import LISTEN

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from loadgen.live.page_server import PageServer

ANY_PORT = "0"


def live_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--live``."""
    return click.option(
        "--live",
        type=LISTEN,
        is_flag=False,
        flag_value=ANY_PORT,
        metavar="[[ADDR:]PORT]",
        help="Serve live charts for a browser during the run, at a URL with a token; by default "
        "on 127.0.0.1 and any free port.",
    )(command)


def page_server_of(live: tuple[str, int] | None) -> PageServer | None:
    """A server that listens as asked; to be called before the run enters the lab's namespace.

    Raises:
        UsageProblem: the address or port cannot be listened on.
    """
    if live is None:
        return None
    from loadgen.live.page_server import PageServer

    return PageServer(*live)


def openmetrics_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--openmetrics``."""
    return click.option(
        "--openmetrics",
        type=LISTEN,
        help="Serve OpenMetrics during the run; by default on 127.0.0.1.",
    )(command)


def metrics_socket_of(openmetrics: tuple[str, int] | None) -> socket.socket | None:
    """A socket that listens as asked; to be called before the run enters the lab's namespace.

    Raises:
        UsageProblem: the address or port cannot be listened on.
    """
    if openmetrics is None:
        return None
    from loadgen.session.listening import listen

    return listen("--openmetrics", *openmetrics)
