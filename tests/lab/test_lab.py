"""The lab on real kernels: what it is when up, and that nothing is left of it, whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.errors import UsageProblem
from loadgen.lab import state
from loadgen.lab.lab import Lab, down, running, running_labs
from loadgen.lab.probe import Prober
from loadgen.lab.system import netns, processes, wiring
from loadgen.lab.takedown import namespaces_of
from loadgen.lab.topology.model import exercise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadgen.lab.topology.model import Host

GET = """
import http.client
connection = http.client.HTTPConnection("192.168.10.2", timeout=20)
connection.request("GET", "/any/path")
response = connection.getresponse()
print(response.status, response.read().decode().strip())
"""
KILLED_AFTER_S = (0.12, 0.16, 0.2, 0.3, 0.6, 1.5, 4.5)
"""From "Python has hardly started" by "kernels are booting" to "waiting for the VIP"."""


@pytest.fixture
def second_name(lab: Lab, lab_prefix: str) -> Iterator[str]:
    """The name of a lab beside the session's; it is down at the end, whatever the test does."""
    name = f"{lab_prefix}-b"
    yield name
    down(name)
    assert lab.damage() == []


# The lab when it is up


def test_the_vip_answers_from_both_real_servers(lab: Lab) -> None:
    answers = {http_answer(lab) for _ in range(4)}
    assert answers == {"200 srv01", "200 srv02"}


def test_both_directors_have_the_service_with_both_real_servers(lab: Lab) -> None:
    for director in lab.director_names:
        table = lab.run(director, ["cat", "/proc/net/ip_vs"], check=True).stdout
        service, *servers = [line.split()[:4] for line in table.splitlines()[3:]]
        assert service == ["TCP", "C0A80A02:0050", "rr"]  # 192.168.10.2:80
        assert sorted(servers) == [
            ["->", "C0A80A15:0050", "Route", "1"],
            ["->", "C0A80A16:0050", "Route", "1"],
        ]


def test_the_master_alone_holds_the_vip_and_by_the_exercises_label(lab: Lab) -> None:
    held = {
        name: lab.run(name, ["ip", "-4", "addr", "show", "dev", "eth1"], check=True).stdout
        for name in lab.director_names
    }
    # newer iproute2 says between the two who set it: proto 0x12, keepalived
    assert re.search(r"inet 192\.168\.10\.2/32 (proto \S+ )?scope global eth1:2", held["bal01"])
    assert "192.168.10.2/32" not in held["bal02"]


def test_the_standby_has_forwarded_nothing(lab: Lab) -> None:
    http_answer(lab)
    lines = lab.run("bal02", ["cat", "/proc/net/ip_vs_conn"], check=True).stdout.splitlines()
    assert len(lines) == 1  # the heading


def test_every_host_has_the_mac_its_topology_says(lab: Lab) -> None:
    for host in lab.topology.hosts:
        printed = lab.run(host.name, ["cat", "/sys/class/net/eth1/address"], check=True).stdout
        assert printed.strip() == host.mac


def test_no_host_speaks_ipv6(lab: Lab) -> None:
    """Captures stay quiet."""
    for name in ("client", "srv01", "bal01"):
        assert lab.run(name, ["ip", "-6", "addr"], check=True).stdout == ""


def test_ssh_needs_nothing_but_the_labs_own_files(lab: Lab) -> None:
    argv = ["ip", "netns", "exec", lab.client_namespace, "ssh", "-F", str(lab.ssh_config)]
    done = subprocess.run([*argv, "bal02", "hostname"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("bal02\n", "")


def test_the_timeouts_are_the_kernels_own_unless_given(lab: Lab) -> None:
    for director in lab.director_names:
        printed = lab.run(director, ["ipvsadm", "-L", "--timeout"], check=True).stdout
        assert printed == "Timeout (tcp tcpfin udp): 900 120 300\n"


def test_the_lab_is_found_by_name_and_in_the_list(lab: Lab) -> None:
    found = running(lab.name)
    assert found is not None
    assert found.state == lab.state
    assert lab.name in [other.name for other in running_labs()]


def test_a_thread_enters_the_clients_namespace_alone(lab: Lab) -> None:
    links = Path("/proc/thread-self/net/dev")
    before = links.read_text().count(":")
    inside = netns.within(lab.client_namespace, links.read_text)
    names = [line.split(":")[0].strip() for line in inside.splitlines()[2:]]
    assert names == ["lo", lab.client_interface]
    assert links.read_text().count(":") == before


def test_its_state_is_for_roots_eyes_only(lab: Lab) -> None:
    assert lab.directory.stat().st_mode & 0o777 == 0o700


# The commands


def test_up_again_finds_the_lab_as_it_is(lab: Lab) -> None:
    done = loadgen("lab", "up", "--name", lab.name)
    assert done.returncode == 0
    assert done.stderr.startswith(f"lab {lab.name!r} is up already\n")


def test_up_with_another_topology_is_refused_in_one_line(lab: Lab) -> None:
    done = loadgen("lab", "up", "--name", lab.name, "--timeouts", "900,20,300")
    assert done.returncode == 2
    assert done.stderr == (
        f"loadgen: lab {lab.name!r} is up already with timeouts 900,120,300 instead of 900,20,300; "
        f"`loadgen lab down --name {lab.name}` first\n"
    )


def test_status_is_one_json_document(lab: Lab) -> None:
    document = json.loads(loadgen("lab", "status", "--name", lab.name, "--json").stdout)
    directors = [host for host in document["hosts"] if host["role"] == "director"]
    assert document["schema_version"] == 2
    assert document["vip_holder"] == "bal01"
    assert [host["holds_vip"] for host in directors] == [True, False]
    assert [host["timeouts"]["tcpfin_s"] for host in directors] == [120, 120]


def test_status_names_every_host(lab: Lab) -> None:
    printed = loadgen("lab", "status", "--name", lab.name).stdout
    assert all(f"{host.name} " in printed for host in lab.topology.hosts)
    assert "VIP held by bal01" in printed


@pytest.mark.parametrize("host_name", ["client", "srv02", "bal01"])
def test_shell_passes_words_and_the_exit_code_on(lab: Lab, host_name: str) -> None:
    argv = ["sh", "-c", 'echo "a  b"; exit 7']
    done = loadgen("lab", "shell", "--name", lab.name, host_name, "--", *argv)
    assert (done.returncode, done.stdout) == (7, "a  b\n")


def test_a_shell_on_no_host_names_those_there_are(lab: Lab) -> None:
    done = loadgen("lab", "shell", "--name", lab.name, "web01")
    assert done.returncode == 2
    assert done.stderr == (
        "loadgen: no host 'web01' in the lab; there are client, bal01, bal02, srv01, srv02\n"
    )


@pytest.mark.parametrize("words", [["status"], ["shell", "client"]])
def test_without_a_lab_one_line_says_so(words: list[str]) -> None:
    done = loadgen("lab", words[0], "--name", "no-such", *words[1:])
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lab 'no-such' is not up" in done.stderr


def test_down_of_nothing_is_well() -> None:
    done = loadgen("lab", "down", "--name", "no-such")
    assert (done.returncode, done.stdout) == (0, "")
    assert "not up" in done.stderr


# Coming and going


def test_a_lab_comes_up_beside_another_and_goes_without_a_trace(lab: Lab, second_name: str) -> None:
    second = Lab(exercise(Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)), name=second_name).up()
    assert http_answer(second).startswith("200 srv0")
    assert http_answer(lab).startswith("200 srv0")
    printed = second.run("bal01", ["ipvsadm", "-L", "--timeout"], check=True).stdout
    assert printed == "Timeout (tcp tcpfin udp): 900 20 300\n"
    second.down()
    assert left_of(second_name) == []


def test_the_tables_are_empty_when_a_lab_has_come_up_even_with_a_director_booted_twice(
    second_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About one boot in a hundred comes up without network; here we say that bal02 did."""
    reaches = Prober.reaches
    said: list[str] = []

    def first_boot_is_cut_off(prober: Prober, host: Host) -> bool:
        again = any("booting it again" in line for line in said)
        return (host.name != "bal02" or again) and reaches(prober, host)

    monkeypatch.setattr(Prober, "reaches", first_boot_is_cut_off)
    with Lab(name=second_name, say=said.append) as second:
        assert "bal02: booted but cannot be reached; booting it again" in said
        for director in second.director_names:
            table = second.run(director, ["cat", "/proc/net/ip_vs_conn"], check=True).stdout
            assert len(table.splitlines()) == 1  # the heading
        assert http_answer(second).startswith("200 srv0")
    assert left_of(second_name) == []


def test_killed_at_any_moment_the_next_one_clears_up(second_name: str) -> None:
    before = machine_links()
    for moment_s in KILLED_AFTER_S:  # each `up` first meets what the one before left
        start_up_and_signal(second_name, moment_s, signal.SIGKILL)
    down(second_name)
    assert left_of(second_name) == []
    assert machine_links() == before


def test_killed_up_then_up_works_and_so_does_down_after_all_in_it_was_killed(
    second_name: str,
) -> None:
    start_up_and_signal(second_name, 1.0, signal.SIGKILL)
    second = Lab(name=second_name).up()
    assert http_answer(second).startswith("200 srv0")
    for pid in processes_of(second_name):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(second.damage()) == len(second.director_names))
    assert running(second_name) is None
    done = loadgen("lab", "status", "--name", second_name)
    assert "is damaged: bal01's kernel has ended; bal02's kernel has ended; " in done.stderr
    second.down()
    assert left_of(second_name) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_undoes_itself(second_name: str, number: signal.Signals) -> None:
    with start_up(second_name) as process:
        assert process.stderr is not None
        assert any("booting" in line for line in process.stderr)
        process.send_signal(number)
        printed = process.communicate(timeout=60)[1]
    done = subprocess.CompletedProcess(process.args, process.returncode, "", printed)
    assert done.returncode == 130
    assert done.stderr.rstrip().endswith("undoing what was done")
    assert left_of(second_name) == []


def test_a_failing_step_is_undone_and_named_in_one_line(second_name: str, tmp_path: Path) -> None:
    """An nginx that fails stands in for any program that does."""
    nginx = tmp_path / "nginx"
    nginx.write_text("#!/bin/sh\necho 'no nginx today' >&2\nexit 1\n")
    nginx.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = loadgen("lab", "up", "--name", second_name, PATH=path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("loadgen: nginx on srv01: ip netns exec ")
    assert last.endswith(": no nginx today")
    assert left_of(second_name) == []


def test_two_ups_at_once_are_one_too_many(second_name: str) -> None:
    with start_up(second_name) as first:
        wait_until((state.ROOT / f"{second_name}.lock").exists)
        done = loadgen("lab", "up", "--name", second_name)
        assert done.returncode == 1
        assert done.stderr == (
            f"loadgen: lab {second_name!r} is being brought up or down by process {first.pid}\n"
        )
        first.send_signal(signal.SIGTERM)


def test_down_spares_a_lab_whose_name_only_begins_alike(lab: Lab) -> None:
    down(lab.name[:-1])
    assert lab.damage() == []


def test_a_user_other_than_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageProblem, match="root"):
        down("no-such")


def http_answer(lab: Lab) -> str:
    """Status and body of one GET by way of the VIP, sent from the lab's client."""
    return lab.run("client", [sys.executable, "-c", GET], check=True).stdout.strip()


def loadgen(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user would."""
    argv = [sys.executable, "-c", "from loadgen.commands.loadgen import main; main()", *words]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def start_up(name: str) -> subprocess.Popen[str]:
    """A ``lab up`` on its way."""
    argv = [sys.executable, "-c", "from loadgen.commands.loadgen import main; main()"]
    return subprocess.Popen([*argv, "lab", "up", "--name", name], stderr=subprocess.PIPE, text=True)


def start_up_and_signal(
    name: str, moment_s: float, number: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """Start ``lab up``, signal it after a while, and only it; wait for its end."""
    with start_up(name) as process:
        time.sleep(moment_s)
        process.send_signal(number)
        printed = process.communicate(timeout=60)[1]
    return subprocess.CompletedProcess(process.args, process.returncode, "", printed)


def wait_until(holds: Callable[[], bool]) -> None:
    """Until something holds."""
    deadline_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def processes_of(name: str) -> set[int]:
    """All that belongs to a lab."""
    networks = map(netns.identity, namespaces_of(name))
    return processes.of_lab(name, {network for network in networks if network})


def left_of(name: str) -> list[str]:
    """Whatever on this machine has to do with a lab of that name."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return [
        *(f"process {pid}" for pid in processes_of(name)),
        *(f"namespace {found}" for found in namespaces_of(name)),
        *(mount for mount in mounts if f"/lg-{name}-" in mount or f"/{name}/" in mount),
        *(str(path) for path in Path("/run/loadgen").glob(f"{name}*")),
        *(str(path) for path in Path("/dev/shm").glob(f"*{name}-*")),
        *(str(path) for path in Path("/run/netns").glob(f"lg-{name}-*")),
    ]


def machine_links() -> set[str]:
    """Interfaces of the machine's own namespace."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def test_left_of_sees_what_a_lab_is_made_of(lab: Lab) -> None:
    """The yardstick of the tests above: it is not blind."""
    kinds = {line.split()[0] for line in left_of(lab.name)}
    assert {"process", "namespace", str(lab.directory)} <= kinds
    assert len(namespaces_of(lab.name)) == len(wiring.namespaces(lab.name, lab.topology))
