"""`make test-distros`: `make demo` and `make test` of the commit checked out, in fresh roots.

A root of each release is made by debootstrap from the machine's own Debian mirror, and used in
mount and process namespaces of its own: when they end, by whatever way, no process and no mount is
left, and the root is removed. RELEASES names other Debian releases, ARGS goes to pytest as in `make
test`; FILES names files of this machine that each root needs as well, such as /etc/pip.conf and a
proxy's certificate.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loadgen.errors import LoadgenError, UsageProblem
from loadgen.lab.kernels.fetch import debian_mirror, keyring

CHECKOUT = Path(__file__).resolve().parents[1]
RELEASES = "bookworm trixie"
FILES = "/etc/resolv.conf /etc/hosts"
BASE = "ca-certificates,git,make,python3,python3-venv"
# `ip -n` needs a root that is a mount point, so each is bound to itself. It becomes the namespace's
# root, for in a chroot nobody may have a user namespace (unshare(2)).
# The end of the first process of a process namespace is the end of all others in it.
ALONE = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"),
    *("--propagation", "private", "sh", "-ec"),
)
# $1 the root, $2 release, $3 mirror, $4 keyring, $5 checkout, $6 files to copy, $7 for pytest.
SCRIPT = f"""
debootstrap --variant=minbase --include={BASE} --keyring="$4" "$2" "$1" "$3" >"$1.log" 2>&1 ||
    {{ tail "$1.log"; exit 1; }}
for file in $6; do
    mkdir -p "$1${{file%/*}}"
    cp --dereference "$file" "$1$file"
done
git -c safe.directory="$5" -C "$5" bundle create -q "$1/commit" HEAD
git -c advice.detachedHead=false clone -q "$1/commit" "$1/loadgen"
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mkdir "$1/old"
cd "$1"
pivot_root . old
cd /
umount --lazy /old
rmdir /old
env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin CI=true \\
    sh -ec 'make -C /loadgen demo; make -C /loadgen test ARGS="$1"' - "$7" </dev/null
"""


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Every release in turn; 0 if both commands passed in all of them, 1 if not."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    for program in ("debootstrap", "git"):
        if shutil.which(program) is None:
            raise UsageProblem(f"{program} is not installed: apt install {program}")
    mirror, keys = debian_mirror(), keyring()
    codes = [
        run(release, mirror, keys) for release in (os.environ.get("RELEASES") or RELEASES).split()
    ]
    return int(any(codes))


def run(release: str, mirror: str, keys: Path) -> int:
    """`make demo` and `make test` in a fresh root of a release; the exit code."""
    say(f"{release}: debootstrap from {mirror}, then make demo and make test")
    began_s = time.monotonic()
    files = f"{FILES} {os.environ.get('FILES', '')}"
    with tempfile.TemporaryDirectory(prefix="loadgen-distros-", dir="/var/tmp") as place:
        root = Path(place, release)
        words = [str(root), release, mirror, str(keys), str(CHECKOUT), files]
        code = in_namespaces([*words, os.environ.get("ARGS", "")])
    outcome = "passed" if code == 0 else f"failed with exit code {code}"
    say(f"{release}: {outcome}, {time.monotonic() - began_s:.0f} s")
    return code


def in_namespaces(words: list[str]) -> int:
    """The script's exit code; nothing of it is left whatever ends us."""
    with subprocess.Popen([*ALONE, SCRIPT, "sh", *words], stdin=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        finally:
            process.kill()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except LoadgenError as error:
        sys.stderr.write(f"test-distros: {error}\n")
        sys.exit(error.exit_code)
