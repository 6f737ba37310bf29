"""A listening socket of this machine's own, made before the run goes where it sends from.

In a lab a run moves into the client's network namespace, whose loopback nobody outside can reach. A
socket stays in the namespace that it was made in. An ordinary user's labs lie deeper: the command
starts itself again among them (``loadgen.lab.system.rootless``); what was made before is then
handed over by its number.
"""

from __future__ import annotations

import os
import socket

from analyzer.ipvs.addresses import host_port
from loadgen.errors import UsageProblem

HANDED = "LOADGEN_LISTENING"
"""Environment variable: ``OPTION=NUMBER`` of each socket that was handed over, by spaces."""

BACKLOG = 16


def listen(option: str, address: str, port: int) -> socket.socket:
    """Listen there, or take the socket that was handed over.

    Args:
        option: that asks for it, such as ``--live``; for the error.
        address: an IPv4 or IPv6 address.
        port: 0 for any.

    Raises:
        UsageProblem: the address or port cannot be listened on.
    """
    handed = _handed_over().pop(option, None)
    if handed is not None:
        return socket.socket(fileno=handed)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageProblem(f"{option} {host_port(address, port)}: {error}") from error
    if os.geteuid():
        _hand_over(option, made)
    return made


def _hand_over(option: str, made: socket.socket) -> None:
    os.set_inheritable(made.fileno(), True)
    words = os.environ.get(HANDED, "").split()
    os.environ[HANDED] = " ".join([*words, f"{option}={made.fileno()}"])


def _handed_over() -> dict[str, int]:
    """What this process got from the one that it was before."""
    pairs = (word.partition("=") for word in os.environ.get(HANDED, "").split())
    sockets = {option: int(number) for option, _, number in pairs if number.isdigit()}
    return {option: number for option, number in sockets.items() if _is_listening(number)}


def _is_listening(number: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(number)) as copy:
            return bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
