"""apt-get install, such that no service is started or enabled by it. Run as root.

Debian's packages start a service (invoke-rc.d, deb-systemd-invoke) and enable it (links made by
deb-systemd-helper and update-rc.d) when they are configured. For the time of one call

* /usr/sbin/policy-rc.d says no to every start. Where somebody else's says so already, it stays;
  otherwise ours goes in front of it, and theirs waits beside it.
* the links that enable services are noted before, and those that are new afterwards are undone, as
  `systemctl disable` and `update-rc.d NAME disable` would do it, so that later upgrades keep it so.
  What was enabled before stays. (A unit that its package itself ties to a target, below
  /lib/systemd, is no link of /etc: such are the parts of systemd and dbus.)

Should we be killed meanwhile, the marked policy, the note and theirs are still there: the next
start (`recover`, or any `install`) ends what was begun, under the same rules.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import debian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ROOT = Path("/")
MARK = "# made by the set-up of ipvs-loadgen for one call of apt-get; its next start removes it"
POLICY = "usr/sbin/policy-rc.d"
THEIRS = "usr/sbin/policy-rc.d.before-ipvs-loadgen"
FRESH = "usr/sbin/policy-rc.d.new-ipvs-loadgen"
NOTE = "var/lib/ipvs-loadgen-setup.json"
DENIED = 101
ASKED_FOR = ("ssh", "nginx", "keepalived", "ipvsadm", "any-other-service")
"""Services for which somebody else's policy-rc.d must say no to be trusted."""
LINKS = (
    *("etc/systemd/*/*", "etc/systemd/*/*.wants/*", "etc/systemd/*/*.requires/*"),
    *("etc/rc[2345S].d/S*", "etc/runlevels/*/*", "etc/runit/runsvdir/default/[!.]*"),
)
APT = [
    *("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"),
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
]
NO_QUESTIONS = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}


def say(line: str) -> None:
    """One line on standard error, at once."""
    sys.stderr.write(f"set-up: {line}\n")
    sys.stderr.flush()


# --- starting: the policy ---------------------------------------------------------------------


def is_ours(policy: Path) -> bool:
    """Whether a policy-rc.d is the one that we make."""
    try:
        return MARK in policy.read_text(errors="replace")
    except OSError:
        return False


def denies_starts(policy: Path) -> bool:
    """Whether somebody else's policy-rc.d says no to a start of our packages' services."""
    if not os.access(policy, os.X_OK):
        return False  # invoke-rc.d does not ask such a one
    for service in ASKED_FOR:
        answer = subprocess.run([policy, service, "start"], check=False, capture_output=True)
        if answer.returncode != DENIED:
            return False
    return True


def deny_starts(root: Path = ROOT) -> None:
    """From here on no package may start a service. Done again after a kill, it goes on."""
    policy, theirs, fresh = root / POLICY, root / THEIRS, root / FRESH
    if is_ours(policy):
        return
    if os.path.lexists(policy):
        if denies_starts(policy):
            return
        theirs.unlink(missing_ok=True)  # an older copy, or this very file: killed at the next line
        os.link(policy, theirs, follow_symlinks=False)
    fresh.write_text(f"#!/bin/sh\n{MARK}\nexit {DENIED}\n")
    fresh.chmod(0o755)
    fresh.replace(policy)  # in one step: there is no moment without a policy


def allow_starts(root: Path = ROOT) -> None:
    """Put back what was there before `deny_starts`."""
    policy, theirs = root / POLICY, root / THEIRS
    (root / FRESH).unlink(missing_ok=True)
    if is_ours(policy) and os.path.lexists(theirs):
        theirs.replace(policy)
    elif is_ours(policy):
        policy.unlink()
    else:
        theirs.unlink(missing_ok=True)  # theirs is in its place, or was replaced by a newer one


# --- enabling: the links ----------------------------------------------------------------------


def enabling_links(root: Path = ROOT) -> set[str]:
    """Every link that makes a service start by itself (systemd, SysV, OpenRC, runit)."""
    links = {path for pattern in LINKS for path in root.glob(pattern) if path.is_symlink()}
    return {str(path.relative_to(root)) for path in links if str(path.readlink()) != "/dev/null"}


def disable_new(before: set[str], root: Path = ROOT) -> list[str]:
    """Undo every enabling link that was not there before; the services' names."""
    new = sorted(enabling_links(root) - before)
    for link in new:
        disable(root / link)
    return sorted({service_name(link) for link in new})


def disable(link: Path) -> None:
    """Undo one enabling link, in the way its init system remembers as the administrator's wish."""
    folder = link.parent
    if folder.name.startswith("rc"):
        link.replace(folder / f"K{link.name[1:]}")  # as `update-rc.d NAME disable`
    elif "runit" in folder.parts:
        link.replace(folder / f".{link.name}")
    else:
        link.unlink()
        if folder.name.endswith((".wants", ".requires")):
            with contextlib.suppress(OSError):
                folder.rmdir()  # if it is empty


def service_name(link: str) -> str:
    """`ssh` for etc/rc2.d/S01ssh; for a link of systemd the unit, as in `ssh.service`."""
    folder, _, name = link.rpartition("/")
    return name[3:] if folder.startswith("etc/rc") else name


# --- one call ---------------------------------------------------------------------------------


class SignalledError(Exception):
    """A signal asked us to end; its number is the argument."""


class Runner:
    """Runs programs one after another; a signal ends the row, never a dpkg in its midst.

    The programs stand in a session of their own, so Ctrl-C does not reach them by itself: we hand
    an interrupt on to apt-get alone, which stops a download, but lets dpkg finish.
    """

    def __init__(self, lock: int) -> None:
        self.lock = lock
        self.signal = 0
        self.running: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self.interrupt)

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """Remember the signal, and tell what is running."""
        self.signal = number
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGINT)

    def run(self, command: list[str]) -> int:
        """One program, to its end; it holds the lock as long as it lives, even longer than we."""
        if self.signal:
            raise SignalledError(self.signal)
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **NO_QUESTIONS},
            start_new_session=True,
            pass_fds=[self.lock],
        ) as self.running:
            code = self.running.wait()
        if self.signal:
            raise SignalledError(self.signal)
        return code


def interrupted(root: Path = ROOT) -> bool:
    """Whether an earlier call was killed, or another one is running right now."""
    traces = (root / NOTE, root / THEIRS, root / FRESH)
    return is_ours(root / POLICY) or any(map(os.path.lexists, traces))


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """Only one set-up at a time; the lock lies on policy-rc.d's directory, so no file is left."""
    handle = os.open((ROOT / POLICY).parent, os.O_RDONLY)
    try:
        wait_for(fcntl.flock, handle, "another set-up")
        for name in ("lock-frontend", "lock"):
            with (ROOT / "var/lib/dpkg" / name).open("a") as file:
                wait_for(fcntl.lockf, file.fileno(), "another apt or dpkg")
        yield handle
    finally:
        os.close(handle)


def wait_for(take: Callable[[int, int], None], handle: int, whom: str) -> None:
    """Take a lock; if that means waiting, say so."""
    try:
        take(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say(f"waiting for {whom} to end")
        take(handle, fcntl.LOCK_EX)


def install(packages: list[str]) -> int:
    """Install packages (names, or paths of .deb files); without any, only end what was begun."""
    with alone() as lock, contextlib.ExitStack() as afterwards:
        runner = Runner(lock)
        cut_short = (ROOT / NOTE).exists()
        before = note_links()
        afterwards.callback((ROOT / NOTE).unlink)
        afterwards.callback(allow_starts)
        afterwards.callback(undo, before)
        deny_starts()
        if cut_short:
            runner.run(["dpkg", "--configure", "-a"])
        return fetch_and_install(runner, packages) if packages else 0


def fetch_and_install(runner: Runner, packages: list[str]) -> int:
    """Two calls of apt-get; 0, or 1 with a line said."""
    if any("/" not in package for package in packages) and runner.run([*APT, "update"]) != 0:
        say("apt-get update failed; trying with the lists that are here")
    lacking = debian.unavailable(packages)
    for name in lacking:
        say(f"there is no package {name} here: {debian.ELSEWHERE[name]}")
    packages = [name for name in packages if name not in lacking]
    code = runner.run([*APT, "install", "--no-install-recommends", *packages])
    if code != 0:
        say(f"apt-get install failed with exit code {code}; it says above why")
    return min(code, 1)


def note_links() -> set[str]:
    """The links before, noted in a file; if a call was cut short, those before that call."""
    note = ROOT / NOTE
    with contextlib.suppress(OSError, ValueError):
        return set(json.loads(note.read_text()))
    links = enabling_links()
    fresh = note.with_suffix(".new")
    fresh.write_text(json.dumps(sorted(links), indent=1))
    fresh.replace(note)
    return links


def undo(before: set[str]) -> None:
    """Disable what is newly enabled, and let a running systemd know."""
    disabled = disable_new(before)
    if not disabled:
        return
    say(f"left disabled: {' '.join(disabled)}")
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "daemon-reload"], check=False)


def main(arguments: list[str]) -> int:
    """`install PACKAGE...` or `recover`."""
    if arguments == ["recover"] or (arguments[:1] == ["install"] and len(arguments) > 1):
        try:
            return install(arguments[1:])
        except SignalledError as error:
            say("interrupted")
            return 128 + int(error.args[0])
    say(f"quiet_apt.py: `install PACKAGE...` or `recover` is expected, got {arguments}")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
