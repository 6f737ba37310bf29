"""How a director is reached: the links that an operator writes, as the commands they stand for."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a director is reached.

    Attributes:
        name: the director's name in tables and reports.
        spec: what the operator wrote, for messages and the manifest.
        argv: the command that runs a POSIX shell on the director, its input and output ours.
    """

    name: str
    kind: Literal["local", "ssh", "exec"]
    spec: str
    argv: tuple[str, ...]


_SSH_OPTIONS = (
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=5"),
    *("-o", "ServerAliveInterval=2"),
    *("-o", "ServerAliveCountMax=3"),
)


def by_hand(link: Link, words: Sequence[str]) -> str:
    """The line that an operator types here to run a command on the director."""
    if link.kind == "local":
        return shlex.join(words)
    before = link.argv[:-1]
    # ssh hands one text to a shell; another prefix runs the words as they are
    return shlex.join([*before, shlex.join(words)] if link.kind == "ssh" else [*before, *words])


def parse_link(spec: str) -> Link:
    """``local``, ``ssh://[user@]host[:port]`` or ``exec:COMMAND PREFIX``.

    Raises:
        UsageProblem: none of these.
    """
    if spec == "local":
        return Link(name="local", kind="local", spec=spec, argv=("sh",))
    if spec.startswith("exec:"):
        prefix = _split(spec.removeprefix("exec:"))
        return Link(name=" ".join(prefix), kind="exec", spec=spec, argv=(*prefix, "sh"))
    if spec.startswith("ssh://"):
        return _ssh_link(spec)
    raise UsageProblem(
        f"--director {spec}: expected local, ssh://[user@]host[:port] or exec:COMMAND PREFIX"
    )


def lab_link(name: str, address: str, ssh_config: Path) -> Link:
    """A director of a running lab, by the lab's own ssh configuration."""
    argv = ("ssh", "-F", str(ssh_config), *_SSH_OPTIONS, "--", name, "exec sh")
    return Link(name=name, kind="ssh", spec=f"ssh://root@{address}", argv=argv)


def _split(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageProblem(f"--director exec:{text}: {error}") from error
    if not words:
        raise UsageProblem("--director exec: expected a command prefix after exec:")
    return words


def _ssh_link(spec: str) -> Link:
    try:
        parts = urlsplit(spec)
        host, user, port = parts.hostname, parts.username, parts.port
        if parts.password is not None:
            raise UsageProblem(
                f"--director ssh://{user}:…@{host}: no password there; use a key or an agent"
            )
    except ValueError as error:
        raise UsageProblem(f"--director {spec}: {error}") from error
    if not host or host.startswith("-") or parts.path.strip("/"):
        raise UsageProblem(f"--director {spec}: expected ssh://[user@]host[:port]")
    login = f"{user}@{host}" if user else host
    port_option = ("-p", str(port)) if port else ()
    argv = ("ssh", *_SSH_OPTIONS, *port_option, "--", login, "exec sh")
    return Link(name=f"{host}:{port}" if port else host, kind="ssh", spec=spec, argv=argv)
