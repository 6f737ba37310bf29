"""The machine's own kernel as the directors', where it has IPVS.

The machine that runs the tests may have none, so this runs inside a User-Mode Linux guest, whose
kernel has IPVS, veth, bridge and namespaces: there it is the machine's own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadgen.lab import uml
from loadgen.lab.programs import search_path

GUEST_LIMIT_S = 100
MEMORY_MB = 512

INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run PYTHONDONTWRITEBYTECODE=1
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
"$PYTHON" -B inside.py >answer.json 2>errors.txt </dev/null
echo "$?" >code
poweroff -f
exec sleep 60
"""

INSIDE = """\
import json, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, REPOSITORY)
from loadgen.lab import report, topology_file
from loadgen.lab.lab import Lab, running
from loadgen.lab.layout import lay_out
from loadgen.lab.takedown import namespaces_of
from loadgen.lab.topology import Kernel

told = {}
GET = "for i in 1 2 3 4; do curl -s -m 5 192.168.10.2; done"


def timed(name, action):
    began = time.monotonic()
    result = action()
    told[name + "_s"] = time.monotonic() - began
    return result


def holder():
    return [name for name, director in lab.directors.items() if director.holds("192.168.10.2")]


def until(wanted, what):
    deadline = time.monotonic() + 12
    while what() != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return what()


lab = Lab(lay_out(), name="k")
timed("up", lab.up)
status = report.inspect("k")
told["kernel"] = status.kernel
told["text"] = report.as_text(status).splitlines()[0]
told["holder"] = status.vip_holder
told["hostname"] = lab.directors["bal01"].output("hostname").strip()
told["answers"] = lab.client.output("sh", "-c", GET).split()
told["table"] = lab.directors["bal01"].output("ipvsadm", "-Ln")
told["other_table"] = lab.directors["bal02"].output("ipvsadm", "-Ln")
told["machine_table"] = Path("/proc/net/ip_vs").read_text()
lab.directors["bal01"].crash()
told["after_crash"] = until(True, lambda: lab.directors["bal02"].holds("192.168.10.2"))
told["damage"] = lab.damage()
told["answers_after"] = lab.client.output("sh", "-c", GET).split()
lab.directors["bal01"].boot()
until(["bal01"], holder)
told["after_boot"] = holder()
told["old_entries"] = lab.directors["bal01"].entries().count("TCP")
timed("down", lab.down)
told["left"] = namespaces_of("k")
for forwarding in ("nat", "tun"):
    with Lab(lay_out(forwarding=forwarding, vip_by="static"), name="k") as lab:
        told[forwarding] = [lab.state.kernel, lab.client.output("sh", "-c", GET).split()]
        told[forwarding + "_states"] = sorted(
            {line.split()[7] for line in lab.directors["bal01"].entries().splitlines()[1:]}
        )
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What happened inside the guest."""
    share = tmp_path_factory.mktemp("guest")
    repository = Path(__file__).parents[2]
    (share / "inside.py").write_text(f"REPOSITORY = {str(repository)!r}\n{INSIDE}")
    (share / "init.sh").write_text(INIT)
    memory = uml.choose_memory_directory("guest", MEMORY_MB)
    memory.mkdir()
    argv = [
        *(uml.PROGRAM, f"mem={MEMORY_MB}M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
        *("noreboot", *uml.QUICKER_BOOT, "umid=guest", f"uml_dir={share}/uml/"),
        *("con=null", "con0=null,fd:1", f"SHARE={share}", f"PYTHON={sys.executable}"),
        *("init=/bin/sh", "--", f"{share}/init.sh"),
    ]
    environment = {"PATH": search_path(), "TMPDIR": str(memory), "HOME": str(share)}
    try:
        subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GUEST_LIMIT_S,
            check=False,
        )
    finally:
        shutil.rmtree(memory)
    errors = (share / "errors.txt").read_text()
    assert (share / "code").read_text() == "0\n", errors
    return json.loads((share / "answer.json").read_text())


def test_auto_takes_the_kernel_that_has_ipvs_and_status_says_so(told: Any) -> None:
    assert told["kernel"] == "host"
    assert "kernel host (this machine's own 6.1" in told["text"]


def test_the_rest_of_the_program_cannot_tell_the_difference(told: Any) -> None:
    assert told["holder"] == "bal01"
    assert told["hostname"] == "bal01"
    assert sorted(told["answers"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert told["table"].count("Route   1      0          2") == 2
    assert told["other_table"].count("Route   1      0          0") == 2


def test_each_director_has_ipvs_of_its_own_and_the_machine_none(told: Any) -> None:
    assert "192.168.10.2" not in told["machine_table"]
    assert "C0A80A02" not in told["machine_table"]


def test_a_director_crashes_and_boots_again_with_an_empty_table(told: Any) -> None:
    assert told["after_crash"] is True
    assert told["damage"] == []
    assert sorted(told["answers_after"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert told["after_boot"] == ["bal01"]
    assert told["old_entries"] == 0


@pytest.mark.parametrize(("forwarding", "state"), [("nat", "TIME_WAIT"), ("tun", "FIN_WAIT")])
def test_nat_and_tun_work_on_it_too(told: Any, forwarding: str, state: str) -> None:
    kernel, answers = told[forwarding]
    assert kernel == "host"
    assert sorted(answers) == ["srv01", "srv01", "srv02", "srv02"]
    assert told[f"{forwarding}_states"] == [state]


def test_nothing_is_left_of_it(told: Any) -> None:
    assert told["left"] == []
