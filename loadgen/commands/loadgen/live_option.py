"""``--live``: the option that commands share which show a run in a browser while it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import LISTEN

if TYPE_CHECKING:
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
