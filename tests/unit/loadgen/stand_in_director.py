"""A director that is this machine, but for the tables that a ``cat`` of ours shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def director_of(folder: Path, port: int) -> str:
    """The link to one with a service at 127.0.0.1 and one real server, of 1 and 7 connections.

    Args:
        folder: where its programs may stand, in ``bin``.
        port: the service's.
    """
    folder = folder / "bin"
    folder.mkdir()
    services = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        f"TCP  7F000001:{port:04X} rr\n"
        f"  -> 0A000001:{port:04X}      Route   1      1          7\n"
    )
    entries = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
    (folder / "ip_vs").write_text(services)
    (folder / "ip_vs_conn").write_text(entries)
    programs = {
        "cat": f'for f; do case $f in /proc/net/ip_vs*) f={folder}/"${{f##*/}}";; esac; '
        '/bin/cat "$f"; done',
        "sed": "exit 1",  # without it, each look is a cat
        "ipvsadm": "echo 'Timeout (tcp tcpfin udp): 900 120 300'",
    }
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return f"exec:env PATH={folder}:{os.environ['PATH']}"
