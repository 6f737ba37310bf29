"""Faults on a live lab: each does what its name says, and is written down with its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import UsageProblem
from loadgen.lab.faults import events
from loadgen.lab.faults.faults import FAULTS, inflict
from loadgen.lab.lab import Lab, running
from loadgen.lab.report import inspect
from loadgen.lab.topology.layout import lay_out
from loadgen.lab.topology.model import exercise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadgen.lab.fixture import MakeLab
    from loadgen.lab.hosts.hosts import Director

TAKE_OVER_LIMIT_S = 60.0
VIP = "192.168.10.2"
GET = """
import http.client, sys, time
for _ in range(int(sys.argv[1])):
    began = time.monotonic()
    connection = http.client.HTTPConnection("192.168.10.2", 80, timeout=20)
    connection.request("GET", "/")
    print(connection.getresponse().read().decode().strip(), time.monotonic() - began)
    connection.close()
"""


@pytest.fixture(scope="module")
def live(make_ipvs_lab: MakeLab) -> Iterator[Lab]:
    """A lab to be harmed; each test leaves it as it was."""
    with make_ipvs_lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def still(make_ipvs_lab: MakeLab) -> Iterator[Lab]:
    """One without an election."""
    with make_ipvs_lab(lay_out(vip_by="static")) as lab:
        yield lab


def test_link_down_moves_the_vip_and_link_up_brings_it_back(live: Lab) -> None:
    first, second = live.directors["bal01"], live.directors["bal02"]
    began_ns = time.time_ns()
    event = first.link_down()
    wait_until(lambda: second.holds(VIP))
    assert "FAULT STATE" in log(live, "bal01")
    assert began_ns <= event.at <= time.time_ns()
    first.link_up()
    wait_until(lambda: not second.holds(VIP))
    wait_until(lambda: first.holds(VIP))


def test_unplug_is_noticed_by_nobody_and_both_hold_the_vip(live: Lab) -> None:
    first, second = live.directors["bal01"], live.directors["bal02"]
    faults_before = log(live, "bal01").count("FAULT STATE")
    first.unplug()
    wait_until(lambda: second.holds(VIP))
    assert log(live, "bal01").count("FAULT STATE") == faults_before
    assert live.damage() == []
    first.replug()
    wait_until(lambda: not second.holds(VIP))
    wait_until(lambda: first.holds(VIP))
    assert inspect(live.name).problems == []


def test_a_crashed_director_is_no_damage_and_boots_again_as_it_was(live: Lab) -> None:
    old = live.state.directors["bal02"]
    live.directors["bal02"].crash()
    assert not old.is_alive
    found = running(live.name)
    assert found is not None
    assert found.state.crashed == ("bal02",)
    document = json.loads(loadgen("status", "--name", live.name, "--json").stdout)
    assert {host["name"]: host["problem"] for host in document["hosts"]}["bal02"] == "crashed"
    live.directors["bal02"].boot()
    wait_until(lambda: "192.168.10.21" in live.directors["bal02"].output("ipvsadm", "-Ln"))
    assert running(live.name).state.crashed == ()  # type: ignore[union-attr]


def test_keepalived_says_goodbye_when_stopped_and_not_when_killed(live: Lab) -> None:
    director = live.directors["bal02"]
    director.keepalived_stop()
    wait_until(lambda: "Stopped" in log(live, "bal02"))
    director.keepalived_start()
    stopped = log(live, "bal02").count("Stopped")
    director.keepalived_kill()
    assert not keepalived_runs(director)
    assert log(live, "bal02").count("Stopped") == stopped
    director.keepalived_start()
    wait_until(lambda: keepalived_runs(director))


def test_without_nginx_a_real_server_refuses_until_it_is_started(still: Lab) -> None:
    still.servers["srv01"].nginx_stop()
    done = still.client.run(sys.executable, "-I", "-S", "-c", GET, "2", check=False)
    assert done.returncode != 0
    assert "refused" in done.stderr
    still.servers["srv01"].nginx_start()
    assert answers(still, 4) == {"srv01", "srv02"}


def test_weight_0_takes_a_real_server_out_and_a_reboot_keeps_it(still: Lab) -> None:
    still.servers["srv02"].set_weight(0)
    assert answers(still, 4) == {"srv01"}
    assert running(still.name).topology.host("srv02").weight == 0  # type: ignore[union-attr]
    still.directors["bal01"].crash()
    still.directors["bal01"].boot()
    wait_until(lambda: "Route   0" in still.directors["bal01"].output("ipvsadm", "-Ln"))
    still.servers["srv02"].set_weight(1)
    wait_until(lambda: answers(still, 4) == {"srv01", "srv02"})


def test_a_directors_delay_and_loss_are_felt_and_can_be_ended(still: Lab) -> None:
    director = still.directors["bal01"]
    answers(still, 2)
    assert quickest_s(still) < 0.05
    director.delay(0.1)  # SYN, ACK and request go by way of the director
    assert quickest_s(still) > 0.1
    director.loss(0.01)
    assert "delay 100ms" in director.output("tc", "qdisc", "show", "dev", "eth1")
    assert "loss 1%" in director.output("tc", "qdisc", "show", "dev", "eth1")
    director.delay(None)
    director.loss(None)
    assert quickest_s(still) < 0.05


def test_a_rate_holds_in_both_directions(still: Lab) -> None:
    still.directors["bal02"].rate(10e6)
    inside = still.directors["bal02"].output("tc", "qdisc", "show", "dev", "eth1")
    hub = ["ip", "netns", "exec", still.namespace_of("bal02"), "tc", "qdisc", "show"]
    outside = subprocess.run([*hub, "dev", "lg-bal02"], capture_output=True, text=True, check=True)
    assert "tbf" in inside
    assert "rate 10Mbit" in inside
    assert "rate 10Mbit" in outside.stdout
    still.directors["bal02"].rate(None)
    assert "tbf" not in still.directors["bal02"].output("tc", "qdisc", "show", "dev", "eth1")


def test_a_missing_queue_discipline_is_one_line_or_works(still: Lab) -> None:
    """Netem for a namespace is the machine's kernel's to have."""
    if machine_has_netem(still):
        still.client.delay(0.05)
        assert quickest_s(still) > 0.05
        still.client.delay(None)
    else:
        expected = "client: this machine's kernel has no queue discipline netem, which this needs"
        with pytest.raises(UsageProblem, match=expected):
            still.client.delay(0.05)


def test_every_change_is_an_event_with_a_time(still: Lab) -> None:
    before = len(still.events())
    began_ns = time.time_ns()
    done = loadgen("fault", "--name", still.name, "srv01", "link-down")
    assert done.returncode == 0, done.stderr
    assert loadgen("fault", "--name", still.name, "srv01", "link-up").returncode == 0
    assert loadgen("weight", "--name", still.name, "srv01", "1").returncode == 0
    new = still.events()[before:]
    kinds = [(event.host, event.kind) for event in new]
    assert kinds == [("srv01", "link-down"), ("srv01", "link-up"), ("srv01", "weight")]
    assert began_ns < new[0].at < new[1].at < new[2].at < time.time_ns()
    lines = events.path(still.name).read_text().splitlines()
    assert set(json.loads(lines[-1])) == {"at", "host", "kind", "detail"}
    assert "done in" in new[0].detail


REFUSED = [
    ("client", "crash", "client has no kernel of its own to crash"),
    ("bal01", "boot", "bal01 has not crashed"),
    ("bal01", "nginx-stop", "bal01 is no real server"),
    ("srv01", "keepalived-stop", "srv01 is no director"),
    ("bal01", "keepalived-stop", "the VIPs of this lab are static"),
    ("bal01", "explode", "no fault 'explode'; there are link-down, link-up, unplug"),
    ("web01", "unplug", "no host 'web01' in the lab"),
]


@pytest.mark.parametrize(("host", "kind", "expected"), REFUSED)
def test_a_fault_that_cannot_be_is_refused_and_no_event(
    still: Lab, host: str, kind: str, expected: str
) -> None:
    before = still.events()
    with pytest.raises(UsageProblem, match=expected):
        inflict(still, host, kind)
    assert still.events() == before


def test_a_crashed_host_takes_no_other_fault(still: Lab) -> None:
    still.directors["bal02"].crash()
    with pytest.raises(UsageProblem, match="bal02 has crashed: boot it first"):
        still.directors["bal02"].link_down()
    still.directors["bal02"].boot()


def test_the_command_knows_every_fault() -> None:
    from loadgen.commands.loadgen.lab.fault import KINDS

    assert tuple(FAULTS) == KINDS


def test_in_tun_a_real_server_can_crash_too(make_ipvs_lab: MakeLab) -> None:
    with make_ipvs_lab(lay_out(forwarding="tun", vip_by="static")) as lab:
        server = lab.servers["srv02"]
        server.nginx_stop()
        server.nginx_start()
        server.crash()
        server.boot()
        wait_until(lambda: answers(lab, 4) == {"srv01", "srv02"})


def test_the_exercises_lab_is_the_fixtures(ipvs_lab: Lab) -> None:
    assert ipvs_lab.topology.hosts == exercise().hosts


def answers(lab: Lab, count: int) -> set[str]:
    """Who answered."""
    done = lab.client.run(sys.executable, "-I", "-S", "-c", GET, str(count), check=False)
    return set(done.stdout.split()[::2]) if done.returncode == 0 else set()


def quickest_s(lab: Lab) -> float:
    """The shortest of four requests: a busy machine has long ones of its own."""
    printed = lab.client.output(sys.executable, "-I", "-S", "-c", GET, "4")
    return min(float(word) for word in printed.split()[1::2])


def machine_has_netem(lab: Lab) -> bool:
    """Asked of the machine itself: the client's loopback, left as it was."""
    add = lab.client.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", check=False)
    lab.client.run("tc", "qdisc", "del", "dev", "lo", "root", check=False)
    return add.returncode == 0


def keepalived_runs(director: Director) -> bool:
    """Whether one does that is no zombie."""
    return director.run("pgrep", "-r", "R,S,D", "keepalived", check=False).returncode == 0


def log(lab: Lab, director: str) -> str:
    """What keepalived said so far."""
    return (lab.directory / director / "keepalived.log").read_text()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + TAKE_OVER_LIMIT_S
    while True:
        try:
            if holds():
                return
        except subprocess.SubprocessError:
            pass  # its sshd is not there yet, or its link is down
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def loadgen(*words: str) -> subprocess.CompletedProcess[str]:
    """``loadgen lab ...`` as a user would type it."""
    main = "from loadgen.commands.loadgen import main; main()"
    argv = [sys.executable, "-c", main, "lab", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=dict(os.environ))
