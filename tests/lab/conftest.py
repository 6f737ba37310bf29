"""A real lab for every test that asks for ``lab``: one per session, under a name of its own.

The fixtures are the ones that the program offers to its users.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.lab.fixture import ipvs_lab, make_ipvs_lab
from loadgen.lab.kernels import images, uml
from loadgen.lab.lab import Lab, down
from loadgen.lab.state import lab_names
from loadgen.lab.system.programs import search_path
from loadgen.lab.topology.layout import with_kernel_image
from loadgen.lab.topology.model import Kernel, exercise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Topology

__all__ = ["ipvs_lab", "make_ipvs_lab"]

REPOSITORY = Path(__file__).parents[2]
MEMORY_MB = 512
GUEST_LIMIT_S = 400  # 75 to 130 s, by how fast the machine starts processes under ptrace
INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run PYTHONDONTWRITEBYTECODE=1
export LIBMOUNT_FORCE_MOUNT2=always  # as loadgen/lab/init.sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
export TMPDIR=/run/scratch  # /tmp stays as it is: the checkout may lie there
mkdir -p /run/modules/lib /run/share /run/scratch
mount -t hostfs none /run/share -o "$SHARE"
ln -s /usr/lib/uml/modules /run/modules/lib/modules
modprobe -d /run/modules -a ip_vs ip_vs_rr veth bridge ipip sch_tbf sch_netem
ip link set lo up
cd /run/share
export PYTHONPATH="$REPOSITORY"
"$PYTHON" -B "$REPOSITORY/tests/lab/inside_a_guest.py" >answer.json 2>errors.txt </dev/null
echo "$?" >code
poweroff -f || echo o >/proc/sysrq-trigger  # a minimal root has no poweroff
exec sleep 60
"""


@pytest.fixture(scope="session", autouse=True)
def _no_labs_of_the_dead() -> None:
    """What a killed session left is removed: its labs have its process' number in their names."""
    for name in lab_names():
        whose = re.fullmatch(r"[tp](\d+)-.+", name)
        if whose and not Path("/proc", whose[1]).exists():
            down(name)


@pytest.fixture(scope="session", autouse=True)
def _kernel_of_all_labs() -> Iterator[None]:
    """``LG_KERNEL``: every lab's directors boot this kernel, unless the test asks for another."""
    kernel = os.environ.get("LG_KERNEL")
    made = Lab.__init__

    def with_kernel(lab: Lab, wanted: Topology | None = None, **options: Any) -> None:
        wanted = wanted or exercise()
        if not wanted.kernel_images and wanted.kernel is not Kernel.HOST:
            wanted = with_kernel_image(wanted, kernel or "")
        made(lab, wanted, **options)

    with pytest.MonkeyPatch.context() as patch:
        if kernel:
            patch.setattr(Lab, "__init__", with_kernel)
        yield


@pytest.fixture(scope="session")
def lab_prefix() -> str:
    """The beginning of this session's lab names, so that two sessions do not meet."""
    return f"t{os.getpid()}"


@pytest.fixture(scope="session")
def lab(ipvs_lab: Lab) -> Lab:
    """The exercise's lab, up."""
    return ipvs_lab


@dataclass(frozen=True)
class Guest:
    """A guest that runs a lab inside: its process, and where it leaves what it saw."""

    process: subprocess.Popen[bytes]
    share: Path

    def answer(self) -> Any:
        """What the program inside printed as JSON; errors of the guest fail the test that asks."""
        self.process.wait(GUEST_LIMIT_S)
        code = self.share / "code"
        assert code.exists(), (self.share / "console.txt").read_text()
        assert code.read_text() == "0\n", (self.share / "errors.txt").read_text()
        return json.loads((self.share / "answer.json").read_text())


def give_way() -> None:
    """Nobody else is to notice: labs that measure time run beside it."""
    os.nice(19)


LONGEST = (
    *("test_lab_docs", "test_sweep", "test_burst", "test_engines", "test_setup", "test_lab_matrix"),
    *("test_kernels", "test_kubernetes_docs", "test_lab_options", "test_lab", "test_lab_faults"),
    *("test_collect", "test_plugin", "test_capacity_proof", "test_runs", "test_page"),
)
"""Files by how long they take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no worker has one left when the others have ended.

    The pages come after the labs: a browser that has been driven leaves an event loop running, in
    which tests of labs could not run theirs. What asks the guest comes last of the labs: it has its
    minutes of work while others wait for timers.
    """
    items.sort(key=lambda item: (_is_of_a_page(item), _asks_the_guest(item), _rank(item)))


def _is_of_a_page(item: pytest.Item) -> bool:
    return "browser" in item.path.parts


def _rank(item: pytest.Item) -> int:
    return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)


def _asks_the_guest(item: pytest.Item) -> bool:
    return "guest" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", autouse=True)
def _guest_begins_early(request: pytest.FixtureRequest) -> None:
    if any(map(_asks_the_guest, request.session.items)):
        request.getfixturevalue("guest")


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The guest, on its way: whoever asks for it early does something else meanwhile."""
    share = tmp_path_factory.mktemp("guest")
    (share / "init.sh").write_text(INIT)
    memory = uml.choose_memory_directory("guest", MEMORY_MB)
    memory.mkdir()
    argv = [
        *(images.PROGRAM, f"mem={MEMORY_MB}M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
        *("noreboot", *uml.QUICKER_BOOT, "umid=guest", f"uml_dir={share}/uml/"),
        *("con=null", "con0=null,fd:1", f"SHARE={share}", f"PYTHON={sys.executable}"),
        *(f"REPOSITORY={REPOSITORY}",),
        *("init=/bin/sh", "--", f"{share}/init.sh"),
    ]
    environment = {"PATH": search_path(), "TMPDIR": str(memory), "HOME": str(share)}
    with (share / "console.txt").open("w") as console:
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=give_way,
        )
    yield Guest(process, share)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(memory)
