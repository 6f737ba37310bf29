"""``analyzer check --baseline`` in the lab: silent while nothing changed, and it names each fault.

CHECKS_REPETITIONS bursts of an unchanged set-up are set beside the first, then CHECKS_FAULTS bursts
of each fault. A repetition must pass in all that could be judged; a fault must fail in the check
that names it.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from analyzer.checks.baseline import judge_against
from analyzer.ipvs.states import Timeouts
from loadgen.lab.topology.layout import lay_out
from loadgen.lab.trial import LabUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from loadgen.lab.fixture import MakeLab
    from loadgen.lab.trial import Run

REPETITIONS = int(os.environ.get("CHECKS_REPETITIONS", "30"))
FAULTS = int(os.environ.get("CHECKS_FAULTS", "10"))
TCPFIN_S, OFF_S, BOOT_S = 6, 8, 9
"""As set; a granule (0.64 s) and a second more, in whole seconds; what the director boots with."""

DECAY = ("-c", "20")
GLANCE = ("-c", "50", "--connect-timeout", "1", "--observe", "3")
"""Where a fault leaves entries that wait for minutes: they are not watched to their end."""

RESETTER = """
import socket, struct
listening = socket.create_server(("", 80), backlog=4096)
print("ready", flush=True)
while True:
    one, _ = listening.accept()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
"""


@dataclass(frozen=True)
class Fault:
    """What is done to the lab, how it is looked at, and the check that must say so."""

    name: str
    names_it: str
    inflict: Callable[[LabUnderTest], AbstractContextManager[None]]
    flags: tuple[str, ...] = DECAY
    n: int = 1000
    each_time: bool = False  # inflicted before every burst, not once


@pytest.fixture(scope="module")
def lg_lab(make_ipvs_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> LabUnderTest:
    topology = lay_out(vip_by="static", timeouts=Timeouts(tcpfin_s=BOOT_S))
    made = LabUnderTest(make_ipvs_lab(topology), tmp_path_factory.mktemp("runs"))
    set_tcpfin(made, TCPFIN_S)
    return made


def set_tcpfin(lab: LabUnderTest, seconds: int) -> None:
    for director in lab.directors.values():
        director.output("ipvsadm", "--set", "900", str(seconds), "300")


@contextmanager
def tcpfin_off(lab: LabUnderTest) -> Iterator[None]:
    set_tcpfin(lab, OFF_S)
    yield
    set_tcpfin(lab, TCPFIN_S)


@contextmanager
def weight_zero(lab: LabUnderTest) -> Iterator[None]:
    lab.servers["srv01"].set_weight(0)
    yield
    lab.servers["srv01"].set_weight(1)


@contextmanager
def syn_loss(lab: LabUnderTest) -> Iterator[None]:
    lab.directors["bal01"].loss(0.02)
    yield
    lab.directors["bal01"].loss(None)


@contextmanager
def restarted(lab: LabUnderTest) -> Iterator[None]:
    lab.directors["bal01"].crash()
    lab.directors["bal01"].boot()
    yield
    set_tcpfin(lab, TCPFIN_S)


@contextmanager
def forwarding_changed(lab: LabUnderTest) -> Iterator[None]:
    edit = ("ipvsadm", "-e", "-t", f"{lab.vip}:80", "-r", f"{lab.servers['srv01'].address}:80")
    lab.directors["bal01"].output(*edit, "-m")
    yield
    lab.directors["bal01"].output(*edit, "-g")


@contextmanager
def resets(lab: LabUnderTest) -> Iterator[None]:
    server = lab.servers["srv01"]
    server.nginx_stop()
    started = subprocess.Popen(
        server.command("python3", "-c", RESETTER), stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield
    finally:
        started.kill()
        started.communicate()
        server.nginx_start()


FOUND = (
    Fault("tcpfin 1 granule + 1 s off", "timeout(FIN_WAIT)", tcpfin_off),
    Fault("a real server of weight 0", "weight(bal01, 192.168.10.21:80)", weight_zero),
    Fault("2 % of SYNs lost", "syn_retries", syn_loss),
    Fault("timeouts lost by a restart", "configured(tcpfin, bal01)", restarted, each_time=True),
    Fault(
        "forwarding changed", "forwarding(bal01, 192.168.10.2:80)", forwarding_changed, GLANCE, 100
    ),
    Fault("a real server resets", "failed(", resets, GLANCE, 200),
)


def broken(baseline: Run, run: Run) -> list[str]:
    judged = judge_against(baseline.analysis, run.analysis)
    return [f"{one.text}: {one.why}" for one in judged if one.outcome in ("failed", "not measured")]


def test_an_unchanged_set_up_raises_no_alarm(lg_lab: LabUnderTest) -> None:
    began_s = time.monotonic()
    baseline = lg_lab.burst(*DECAY, n=1000)
    alarms = [broken(baseline, lg_lab.burst(*DECAY, n=1000)) for _ in range(REPETITIONS)]
    took_s = (time.monotonic() - began_s) / (REPETITIONS + 1)
    print(f"\nunchanged: {sum(map(bool, alarms))} of {REPETITIONS} repetitions raised an alarm")
    print(f"a burst of 1,000, its decay and its analysis: {took_s:.1f} s")
    assert not any(alarms), "\n".join(line for one in alarms for line in one)


@pytest.mark.parametrize("fault", FOUND, ids=lambda fault: fault.name)
def test_each_fault_is_caught_by_the_check_that_names_it(
    lg_lab: LabUnderTest, fault: Fault
) -> None:
    baseline = lg_lab.burst(*fault.flags, n=fault.n)
    found = []
    for times in [1] * FAULTS if fault.each_time else [FAULTS]:
        with fault.inflict(lg_lab):
            found += [broken(baseline, lg_lab.burst(*fault.flags, n=fault.n)) for _ in range(times)]
    caught = [[line for line in one if line.startswith(fault.names_it)] for one in found]
    print(f"\n{fault.name}: caught {sum(map(bool, caught))} of {FAULTS} by {fault.names_it}")
    print(f"  {(caught[0] or ['-'])[0]}")
    print(f"  beside it: {', '.join(line.partition(' as')[0] for line in found[0])}")
    assert all(caught), found
