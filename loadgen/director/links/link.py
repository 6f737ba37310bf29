"""How a director is reached: the links that an operator writes, as the commands they stand for."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.recording.manifest.director import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a director is reached.

    Attributes:
        name: the director's name in tables and reports.
        spec: what the operator wrote after the name, for messages and the manifest.
        argv: the command that runs a POSIX shell on the director, its input and output ours.
        is_named: the operator gave the name.
        director_kind: what keeps the director's connections, where the operator says so.
        worker: of a cluster, from which the rest reaches the director; None for this host.
    """

    name: str
    kind: Literal["local", "ssh", "exec"]
    spec: str
    argv: tuple[str, ...]
    is_named: bool = False
    director_kind: Kind | None = None
    worker: str | None = None


EXPECTED = (
    "local, ssh://[user@]host[:port], exec:COMMAND PREFIX or worker:WORKER[,LINK], "
    "with or without NAME= before it"
)
_KIND = re.compile(r"(ipvs|netfilter)\+(.*)", re.DOTALL)
_NAMED = re.compile(
    r"([0-9A-Za-z][0-9A-Za-z._-]{0,62})=((?:(?:ipvs|netfilter)\+)?(?:ssh://.*|exec:.*|worker:.*|local))",
    re.DOTALL,
)
_AT_WORKER = re.compile(r"worker:([^,]{1,80})(?:,(.+))?", re.DOTALL)
_KUBECTL = frozenset({"kubectl", "oc"})
_KUBECTL_VALUES = frozenset(
    {
        *("-n", "--namespace", "-c", "--container", "--context", "--cluster", "--user"),
        *("--kubeconfig", "-s", "--server", "--token", "--as", "--as-group", "--cache-dir"),
        *("-f", "--filename", "--request-timeout", "--pod-running-timeout", "-v", "--profile"),
    }
)
"""Options of kubectl whose value is the next word."""

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
    """``local``, ``ssh://[user@]host[:port]`` or ``exec:COMMAND PREFIX``; ``NAME=`` before it.

    ``netfilter+`` or ``ipvs+`` before the link says what keeps the director's connections,
    ``worker:WORKER,`` from which worker of a cluster it is reached; ``worker:WORKER`` alone is that
    worker's own machine.

    Raises:
        UsageProblem: none of these.
    """
    name, plain = split_name(spec)
    kind, plain = _split_kind(plain)
    link = replace(_plain_link(plain), director_kind=kind)
    return link if name is None else replace(link, name=name, is_named=True)


def split_name(spec: str) -> tuple[str | None, str]:
    """The name that the operator gave a link, and the link."""
    match = _NAMED.fullmatch(spec)
    return (match[1], match[2]) if match else (None, spec)


def _split_kind(spec: str) -> tuple[Kind | None, str]:
    match = _KIND.fullmatch(spec)
    if match is None:
        return None, spec
    return "netfilter" if match[1] == "netfilter" else "ipvs", match[2]


def is_link(spec: str) -> bool:
    """Whether a director is given by a link; else it is a lab's host, by its name."""
    plain = _split_kind(split_name(spec)[1])[1]
    return plain == "local" or ":" in plain


def _plain_link(spec: str) -> Link:
    if spec == "local":
        return Link(name="local", kind="local", spec=spec, argv=("sh",))
    if spec.startswith("exec:"):
        prefix = _split(spec.removeprefix("exec:"))
        return Link(name=_name_of(prefix), kind="exec", spec=spec, argv=(*prefix, "sh"))
    if spec.startswith("ssh://"):
        return _ssh_link(spec)
    if (at_worker := _AT_WORKER.fullmatch(spec)) and not (at_worker[2] or "").startswith("worker:"):
        return _worker_link(spec, at_worker[1], at_worker[2])
    raise UsageProblem(f"--director {spec}: expected {EXPECTED}")


def _worker_link(spec: str, worker: str, beyond: str | None) -> Link:
    """A link from a worker of a cluster; without one the worker's own machine, by its name."""
    link = _plain_link(beyond or "local")
    name = link.name if beyond else worker
    return replace(link, name=name, spec=spec, worker=worker)


def _name_of(prefix: Sequence[str]) -> str:
    """A name for a host that a command reaches: kubectl's pod, else the command."""
    words = iter(prefix)
    if not any(word.rpartition("/")[2] in _KUBECTL for word in words):
        return " ".join(prefix)
    is_after_exec = False
    for word in words:
        if word in _KUBECTL_VALUES:
            next(words, None)
        elif word == "exec":
            is_after_exec = True
        elif is_after_exec and not word.startswith("-"):
            return word.rpartition("/")[2] or "kubectl"
    return "kubectl"


def lab_link(name: str, address: str, ssh_config: Path, kind: Kind = "ipvs") -> Link:
    """A director of a running lab, by the lab's own ssh configuration."""
    argv = ("ssh", "-F", str(ssh_config), *_SSH_OPTIONS, "--", name, "exec sh")
    spec = f"ssh://root@{address}"
    return Link(name=name, kind="ssh", spec=spec, argv=argv, director_kind=kind)


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
