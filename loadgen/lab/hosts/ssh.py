"""Reaching a director by real ssh, with keys made for this one lab."""

from __future__ import annotations

import shlex
import subprocess
import time
from typing import TYPE_CHECKING

from loadgen.lab.system.programs import environment, run_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loadgen.lab.topology.model import Host, Topology

TIMED_OUT = 124
"""Return code of a session that was given up, as timeout(1) has it."""


def make_key(path: Path, comment: str) -> None:
    """A key pair without passphrase: ``path`` and ``path.pub`` (ssh-keygen(1))."""
    quiet = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment]
    run_program("lab keys", [*quiet, "-f", str(path)])


def known_hosts(topology: Topology, host_key: str) -> str:
    """A line for each host with an sshd, by name and address; all share the lab's host key."""
    kind, key, *_comment = host_key.split()
    return "".join(f"{host.name},{host.address} {kind} {key}\n" for host in _reached(topology))


def config(topology: Topology, directory: Path) -> str:
    """ssh_config(5): nothing is asked, no other key or agent is tried, a dead host is noticed.

    The key exchange named is the quickest in a guest where every computation is slow.
    """
    hosts = "".join(
        f"Host {host.name}\n    HostName {host.address}\n    HostKeyAlias {host.name}\n"
        for host in _reached(topology)
    )
    return f"""\
{hosts}Host *
    User root
    IdentityFile {directory}/client_key
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {directory}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    KexAlgorithms curve25519-sha256
    GSSAPIAuthentication no
    ConnectTimeout 5
    ServerAliveInterval 5
    ServerAliveCountMax 3
    LogLevel ERROR
"""


def command(client_namespace: str, config_path: Path) -> list[str]:
    """Reach out from the lab's client by ssh; options, a director's name and its command follow."""
    return ["ip", "netns", "exec", client_namespace, "ssh", "-F", str(config_path)]


def quote(argv: Sequence[str]) -> str:
    """Words as the one string that ssh hands to the far shell."""
    return shlex.join(argv)


def ask_all(
    directors: Sequence[str],
    script: str,
    client_namespace: str,
    config_path: Path,
    *,
    limit_s: float,
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run a shell script on several directors at once; the slowest takes at most ``limit_s``.

    A director that does not answer has a return code other than 0, and why on standard error.
    """
    deadline_s = time.monotonic() + limit_s
    ssh = command(client_namespace, config_path)
    sessions = {name: _session([*ssh, name, script]) for name in directors}
    try:
        return {name: _answer(session, deadline_s) for name, session in sessions.items()}
    finally:
        for session in sessions.values():
            session.kill()
            session.communicate()


def _reached(topology: Topology) -> list[Host]:
    return [host for host in topology.hosts if topology.has_sshd(host)]


def _session(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def _answer(session: subprocess.Popen[str], deadline_s: float) -> subprocess.CompletedProcess[str]:
    limit_s = max(0.0, deadline_s - time.monotonic())
    try:
        printed, complaint = session.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(session.args, TIMED_OUT, "", "no answer in time")
    return subprocess.CompletedProcess(session.args, session.returncode, printed, complaint)
