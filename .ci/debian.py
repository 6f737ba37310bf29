"""Which Debian packages the project needs, and which of them are not there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

VENV = ("python3-venv",)
LAB = (
    *("user-mode-linux", "ipvsadm", "keepalived", "nginx-light"),
    *("iproute2", "ethtool", "iptables", "libpcap0.8", "tcpdump"),
    *("nftables", "conntrack"),
    *("openssh-server", "openssh-client", "procps", "kmod", "fonts-dejavu", "curl", "patchelf"),
)
BROWSER = ("chromium", "libatomic1")  # the latter for playwright, whose driver is a node
RUBY = ("ruby",)  # reads the Vagrantfile that the lab exports
ELSEWHERE = {
    "user-mode-linux": "a lab then needs a kernel here that has ip_vs, or --kernel-image: Debian's"
    " kernels, or one of your own (docs/lab.md, Another kernel)",
    "chromium": "the browser tests then need another Chromium or Chrome in PATH",
}
"""Packages that some distributions lack (Ubuntu 24.04 both) -> what there is instead."""
KNOWN_EVERYWHERE = "ipvsadm"  # of the same section as the others (Ubuntu: universe)
NEEDED = {"check": VENV, "demo": VENV + LAB, "test": VENV + LAB + BROWSER + RUBY}


def missing(mode: str) -> list[str]:
    """The packages of a mode that are not installed, in the order of the list."""
    there = installed()
    if importlib.util.find_spec("ensurepip"):
        there.add("python3-venv")  # what it would bring is there: a Python that is not Debian's
    wanted = [name for name in NEEDED[mode] if name not in there]
    lacking = unavailable(wanted)
    return [name for name in wanted if name not in lacking]


def unavailable(packages: list[str]) -> list[str]:
    """Which of the packages that some distributions lack this one does not have.

    None as long as apt knows nothing at all, as before its first update.
    """
    asked = [name for name in packages if name in ELSEWHERE]
    if not asked or shutil.which("apt-cache") is None:
        return []
    answer = subprocess.run(
        ["apt-cache", "policy", KNOWN_EVERYWHERE, *asked],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
    )
    known = candidates(answer.stdout)
    return [name for name in asked if name not in known] if KNOWN_EVERYWHERE in known else []


def candidates(policy: str) -> set[str]:
    """The packages that can be installed, in what `apt-cache policy` prints."""
    found: set[str] = set()
    name = ""
    for line in policy.splitlines():
        key, _, value = line.strip().partition(":")
        if not line.startswith(" "):
            name = key
        elif key == "Candidate" and value.strip() != "(none)":
            found.add(name)
    return found


def installed() -> set[str]:
    """Names of the installed packages, and what they provide; empty where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return set()
    form = "${db:Status-Status}\t${Package}, ${Provides}\n"
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", form], check=True, text=True, stdout=subprocess.PIPE
    )
    return names(answer.stdout)


def names(listing: str) -> set[str]:
    """The names in a listing of `status <tab> package, provided (= version), ...` lines.

    What is provided counts: Debian 13's libpcap0.8t64, for instance, is libpcap0.8.
    """
    found: set[str] = set()
    for line in listing.splitlines():
        status, _, rest = line.partition("\t")
        if status == "installed":
            found.update(part.split()[0] for part in rest.split(",") if part.strip())
    return found


def run_quiet_apt(arguments: list[str]) -> int:
    """Run quiet_apt.py as root; by sudo, if we are not. Its exit code.

    It ends by itself when interrupted, after it has put things in order: we wait for that.
    """
    become_root = [] if os.geteuid() == 0 else ["sudo", "-E"]
    script = str(Path(__file__).with_name("quiet_apt.py"))
    python = [sys.executable, "-E", "-s", "-B"]
    with subprocess.Popen([*become_root, *python, script, *arguments]) as process:

        def hand_on(number: int, _frame: FrameType | None) -> None:
            if number != signal.SIGINT and not become_root:  # a terminal's Ctrl-C has reached it
                process.send_signal(number)

        before = {
            number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)
        }
        code = process.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    return code
