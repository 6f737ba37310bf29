"""The set-up installs packages for real, and no service is started or enabled by it.

Each test has a machine of its own: this one's root directory below an overlay in memory, with its
own namespaces, so that dpkg and debhelper's tools are the real ones and nothing of it stays. The
package is made here; its scripts hold what debhelper puts into them. systemd is played by a stub
that writes down what is asked of it, for there is none in a chroot. No network is needed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
QUIET_APT = "/checkout/.ci/quiet_apt.py"
PACKAGE = "lg-setup-test"
POLICY = "/usr/sbin/policy-rc.d"
ALLOWS = "#!/bin/sh\nexit 104\n"
DENIES = "#!/bin/sh\nexit 101\n"
LIMIT_S = 60

# A machine that lives as long as its first process. $1: where it is put together, $2: the checkout.
MACHINE = """
set -e
mount -t tmpfs machine "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/shared"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
cd "$1/root"
mkdir -p checkout shared
mount --bind "$2" checkout
mount --bind "$1/shared" shared
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs run run
mkdir run/lock
rm -f usr/sbin/policy-rc.d
exec chroot . sh -c 'echo up; exec sleep infinity'
"""

# What asks systemd for something is written down; what only looks at files is done by the real one.
SYSTEMCTL = """#!/bin/sh
case " $* " in
*" --root="*|*" is-enabled "*) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@" ;;
*" start "*|*" restart "*) echo "systemctl $*" >>/shared/started ;;
*" is-active "*) exit 3 ;;
esac
"""

INIT_SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides:          {package}
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
### END INIT INFO
echo "init script $1" >>/shared/started
"""

# As debhelper 13.11 writes it (dh_installinit, dh_installsystemd); at its midst a test may hold it.
POSTINST = """#!/bin/sh
set -e
touch /shared/in-the-midst
while [ -e /shared/hold ]; do sleep 0.05; done
if [ "$1" = "configure" ]; then
    update-rc.d {package} defaults >/dev/null
    invoke-rc.d --skip-systemd-native {package} start || exit 1
    for unit in {package}.service {package}.timer; do
        deb-systemd-helper unmask $unit >/dev/null || true
        if deb-systemd-helper --quiet was-enabled $unit; then
            deb-systemd-helper enable $unit >/dev/null || true
        else
            deb-systemd-helper update-state $unit >/dev/null || true
        fi
    done
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        deb-systemd-invoke start {package}.service {package}.timer >/dev/null || true
    fi
fi
"""

# $1: the tree, $2: the package; then the tree's files, each followed by its text.
BUILD = """
tree=$1 package=$2
shift 2
while [ $# -gt 0 ]; do
    mkdir -p "${1%/*}"
    printf %s "$2" >"$1"
    chmod 755 "$1"
    shift 2
done
dpkg-deb --root-owner-group -b "$tree" "$package"
"""

FILES = {
    "DEBIAN/control": "Package: {package}\nVersion: {version}\nArchitecture: all\n"
    "Maintainer: nobody <nobody@localhost>\nDescription: a service that nobody asked for\n",
    "DEBIAN/postinst": POSTINST,
    "etc/init.d/{package}": INIT_SCRIPT,
    "lib/systemd/system/{package}.service": "[Service]\nExecStart=/bin/true\n"
    "[Install]\nWantedBy=multi-user.target\nAlias={package}-alias.service\n",
    "lib/systemd/system/{package}.timer": "[Timer]\nOnBootSec=1h\n"
    "[Install]\nWantedBy=timers.target\n",
}


class Machine:
    """A copy of this machine to install on."""

    def __init__(self, place: Path) -> None:
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]
        self.first = subprocess.Popen(
            [*command, "sh", "-c", MACHINE, "sh", str(place), str(CHECKOUT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.first.stdout is not None
        assert self.first.stdout.readline() == "up\n"

    def end(self) -> None:
        """Everything in it ends with its first process, and its mounts with that."""
        self.first.kill()
        assert self.first.stdout is not None
        self.first.stdout.close()
        self.first.wait()

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program in it."""
        (inside,) = (
            Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children").read_text().split()
        )
        enter = ["nsenter", "--target", inside, "--mount", "--pid", "--root", "--wd"]
        return subprocess.Popen(
            [*enter, *command],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> str:
        """Run a program in it; its output."""
        with self.start(*command) as process:
            output, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, output
        return output

    def sh(self, script: str) -> str:
        """Run a line of shell in it."""
        return self.run("sh", "-c", script)

    def write(self, path: str, text: str) -> None:
        """A program's file in it, in the place of a link too."""
        self.run("sh", "-c", 'rm -f "$1"; printf %s "$2" >"$1"; chmod 755 "$1"', "sh", path, text)

    def quiet_apt(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the set-up's apt in it, as a terminal's foreground job: a group of its own."""
        python = str(Path(sys.executable).resolve())
        return self.start("setsid", python, "-E", "-s", "-B", QUIET_APT, *arguments)

    def install(self) -> str:
        """Install the package by the set-up's apt."""
        return finish(self.quiet_apt("install", f"/shared/{PACKAGE}.deb"))

    def started(self) -> str:
        """What was started in it, a line each."""
        return self.sh("cat /shared/started 2>/dev/null || true")

    def links(self) -> set[str]:
        """All links that enable something in it."""
        names = "etc/systemd etc/rc?.d -type l ! -lname /dev/null ! -path '*/K*'"
        return set(self.sh(f"cd /; find {names}").splitlines())

    def status(self) -> str:
        """How far dpkg has come with the package."""
        return self.sh(f"dpkg-query -W -f '${{db:Status-Status}}' {PACKAGE}")

    def policies(self) -> list[str]:
        """Policies, and files of the set-up, that are in it."""
        listing = self.sh("ls -d /usr/sbin/policy-rc.d* /var/lib/ipvs-loadgen* 2>/dev/null || true")
        return listing.split()

    def put_package(self, version: str = "1") -> None:
        """Build the package, to be installed from /shared."""
        tree = f"/shared/tree-{version}"
        words = [tree, f"/shared/{PACKAGE}.deb"]
        for name, text in FILES.items():
            words.append(f"{tree}/{name}".replace("{package}", PACKAGE))
            words.append(text.replace("{package}", PACKAGE).replace("{version}", version))
        self.run("sh", "-ec", BUILD, "sh", *words)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a program to end with that exit code; its output."""
    with process:
        output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code, output
    return output


def wait_until(true: Callable[[], object]) -> None:
    """Until it is so; not for ever."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def under_sysv(machine: Machine) -> None:
    """The machine says that it runs in SysV's runlevel 2."""
    machine.write("/sbin/runlevel", "#!/bin/sh\necho N 2\n")


def under_systemd(machine: Machine) -> None:
    """The machine says that it runs under systemd."""
    machine.sh("mv /usr/bin/systemctl /usr/bin/systemctl.real; mkdir -p /run/systemd/system")
    machine.write("/usr/bin/systemctl", SYSTEMCTL)


@contextmanager
def machine_of_its_own(place: Path, says: Callable[[Machine], None]) -> Iterator[Machine]:
    """A machine without a policy-rc.d, and the package lying there to be installed."""
    if os.geteuid() != 0:
        pytest.fail("the tests in tests/lab need root: `make test` asks sudo for it")
    machine = Machine(place)
    try:
        says(machine)
        machine.put_package()
        yield machine
    finally:
        machine.end()


@pytest.fixture(params=[under_sysv, under_systemd])
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Twice: what starts and enables a service is not the same under the two init systems."""
    with machine_of_its_own(tmp_path, request.param) as machine:
        yield machine


@pytest.fixture
def one_machine(tmp_path: Path) -> Iterator[Machine]:
    """Once, where the init system makes no difference."""
    with machine_of_its_own(tmp_path, under_sysv) as machine:
        yield machine


def enabled(links: set[str]) -> list[str]:
    return sorted(link for link in links if PACKAGE in link)


def test_dpkg_alone_would_start_and_enable_the_service(machine: Machine) -> None:
    """Without this, the tests below would show nothing."""
    machine.sh(f"dpkg -i /shared/{PACKAGE}.deb")

    assert "start" in machine.started()
    folders = {str(Path(link).parent) for link in enabled(machine.links())}
    assert {"etc/rc2.d", "etc/systemd/system/timers.target.wants"} <= folders
    assert f"etc/systemd/system/{PACKAGE}-alias.service" in machine.links()


def test_nothing_is_started_nothing_is_enabled_and_nothing_is_left(machine: Machine) -> None:
    before = machine.links()

    output = machine.install()

    assert machine.status() == "installed"
    assert machine.started() == ""
    assert machine.links() == before
    assert machine.policies() == []
    assert f"left disabled: {PACKAGE} " in output


def test_a_later_upgrade_by_hand_leaves_the_service_disabled(machine: Machine) -> None:
    before = machine.links()
    machine.install()
    machine.put_package(version="2")

    machine.sh(f"dpkg -i /shared/{PACKAGE}.deb")

    assert machine.links() == before
    assert machine.started() == ""


def test_a_service_that_was_enabled_before_stays_enabled(machine: Machine) -> None:
    machine.sh(f"dpkg -i /shared/{PACKAGE}.deb; rm -f /shared/started")
    before = machine.links()
    assert enabled(before)
    machine.put_package(version="2")

    machine.install()

    assert machine.links() == before
    assert machine.started() == ""


def test_somebody_elses_policy_that_allows_starts_is_not_asked_and_comes_back(
    one_machine: Machine,
) -> None:
    one_machine.write(POLICY, ALLOWS)

    one_machine.install()

    assert one_machine.started() == ""
    assert one_machine.policies() == [POLICY]
    assert one_machine.sh(f"cat {POLICY}") == ALLOWS


def test_somebody_elses_policy_that_denies_starts_stays_as_it_is(one_machine: Machine) -> None:
    one_machine.write(POLICY, DENIES)
    inode = one_machine.sh(f"stat -c %i {POLICY}")

    one_machine.install()

    assert one_machine.started() == ""
    assert one_machine.sh(f"stat -c %i {POLICY}") == inode


def test_it_fails_when_apt_fails_and_leaves_nothing(one_machine: Machine) -> None:
    one_machine.sh(f"echo no package >/shared/{PACKAGE}.deb")

    output = finish(one_machine.quiet_apt("install", f"/shared/{PACKAGE}.deb"), code=1)

    assert "apt-get install failed" in output
    assert one_machine.policies() == []


def hold_in_the_midst(machine: Machine) -> subprocess.Popen[str]:
    """An installation whose postinst is running, and stays so."""
    machine.sh("touch /shared/hold")
    process = machine.quiet_apt("install", f"/shared/{PACKAGE}.deb")
    wait_until(lambda: "in-the-midst" in machine.sh("ls /shared"))
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_midst_lets_dpkg_finish_and_leaves_nothing(
    one_machine: Machine, number: signal.Signals
) -> None:
    before = one_machine.links()
    one_machine.write(POLICY, ALLOWS)
    process = hold_in_the_midst(one_machine)

    group = one_machine.sh("pgrep -f '[q]uiet_apt.py install'").strip()
    one_machine.sh(f"kill -{number.name[3:]} -{group}; sleep 0.3; rm /shared/hold")
    finish(process, code=128 + number)

    assert one_machine.status() == "installed"
    assert one_machine.started() == ""
    assert one_machine.links() == before
    assert one_machine.sh(f"cat {POLICY}") == ALLOWS
    assert one_machine.policies() == [POLICY]


KILL_SET_UP = "pkill -KILL -f '[q]uiet_apt.py install'"


@pytest.mark.parametrize(
    ("kill", "waits_for"),
    [
        (KILL_SET_UP, "waiting for another set-up"),
        (f"{KILL_SET_UP}; pkill -KILL apt-get", "waiting for another apt or dpkg"),
    ],
)
def test_after_kill_9_the_next_start_waits_for_what_still_runs_and_clears_up(
    one_machine: Machine, kill: str, waits_for: str
) -> None:
    before = one_machine.links()
    one_machine.write(POLICY, ALLOWS)
    process = hold_in_the_midst(one_machine)
    one_machine.sh(kill)
    finish_killed(process)
    assert len(one_machine.policies()) == 3  # ours, theirs beside it, the note

    following = one_machine.quiet_apt("recover")
    assert following.stdout is not None
    assert any(waits_for in line for line in following.stdout)  # before it ends: see the next line
    assert following.poll() is None  # it would open the door to starts if it did not wait
    one_machine.sh("rm /shared/hold")
    finish(following)

    assert one_machine.status() == "installed"
    assert one_machine.started() == ""
    assert one_machine.links() == before
    assert one_machine.sh(f"cat {POLICY}") == ALLOWS
    assert one_machine.policies() == [POLICY]


def test_after_kill_9_of_everything_the_next_start_ends_what_was_begun(
    one_machine: Machine,
) -> None:
    before = one_machine.links()
    process = hold_in_the_midst(one_machine)
    one_machine.sh(
        f"{KILL_SET_UP}; pkill -KILL apt-get; pkill -KILL dpkg;"
        f" pkill -KILL -f '[{PACKAGE[0]}]{PACKAGE[1:]}.postinst'; rm /shared/hold"
    )
    finish_killed(process)
    assert one_machine.status() == "half-configured"

    finish(one_machine.quiet_apt("recover"))

    assert one_machine.status() == "installed"
    assert one_machine.started() == ""
    assert one_machine.links() == before
    assert one_machine.policies() == []


def finish_killed(process: subprocess.Popen[str]) -> None:
    """Take the exit status of one that was killed; its output's other end may still be open."""
    process.wait(timeout=LIMIT_S)
    assert process.stdout is not None
    process.stdout.close()


IN_THE_WAY = [
    ("--net", "ip link set lo up; ip addr add 192.168.10.7/32 dev lo", "192.168.10.7/32"),
    ("--net", "ip link set lo up; ip route add 192.168.0.0/16 dev lo", "192.168.0.0/16"),
    ("--mount", "mount -t tmpfs none /dev/net", "/dev/net/tun is missing"),
    ("--mount", "mount -t tmpfs -o size=64m none /dev/shm", "no room for the directors' memory"),
    ("--mount", "mount -t tmpfs -o noexec none /dev/shm", "noexec"),
]


@pytest.mark.parametrize(("namespace", "change", "words"), IN_THE_WAY)
def test_what_is_in_the_way_of_a_lab_is_one_line_and_nothing_is_changed(
    tmp_path: Path, namespace: str, change: str, words: str
) -> None:
    copy = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / ".ci", copy / ".ci")
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, copy)

    # where memory is the matter, the second place for it must not do: there is no room in /proc
    tmpdir = "/proc" if "/dev/shm" in change else "/tmp"
    done = subprocess.run(
        ["unshare", namespace, "sh", "-c", f"{change} && exec {copy}/.ci/setup demo"],
        env={**os.environ, "TMPDIR": tmpdir},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert words in line
    assert not (copy / ".venv").exists()
