"""Every flag of ``lab up``, seen on real kernels; and what is refused before anything starts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording
from loadgen.lab.lab import Lab, down, running
from loadgen.lab.topology import file as topology_file
from loadgen.lab.topology.layout import HostCounts, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadgen.lab.fixture import MakeLab

FLAGS = (
    *("--directors", "1", "--servers", "3", "--weights", "3,2,1", "--clients", "2", "--vips", "2"),
    *("--scheduler", "wrr", "--timeouts", "60,7,9", "--udp", "--ipv6", "--conn-tab-bits", "10"),
    *("--sysctl", "net.ipv4.vs.conn_reuse_mode=0", "--sysctl", "net.ipv4.vs.sync_threshold=2 9"),
    *("--director-memory", "96", "--vip-by", "static", "--kernel", "uml"),
)
GET = """
import http.client, sys
for _ in range(int(sys.argv[2])):
    connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=20)
    connection.request("GET", "/")
    print(connection.getresponse().read().decode().strip())
    connection.close()
"""
ECHO = """
import socket, sys
client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(20)
client.connect((sys.argv[1], 7))
client.send(b"word")
print(client.recv(9).decode())
"""


@pytest.fixture(scope="module")
def full(lab_prefix: str) -> Iterator[Lab]:
    """A lab with every flag, by the command line."""
    name = f"{lab_prefix}-full"
    done = loadgen("up", "--name", name, *FLAGS)
    assert done.returncode == 0, done.stderr
    found = running(name)
    assert found is not None
    yield found
    down(name)


def test_weights_and_scheduler_share_the_connections(full: Lab) -> None:
    answers = Counter(get(full, "client", "192.168.10.2", 12))
    assert answers == {"srv01": 6, "srv02": 4, "srv03": 2}


def test_every_client_reaches_every_vip_in_both_families(full: Lab) -> None:
    for client in ("client", "client02"):
        for vip in ("192.168.10.2", "192.168.10.102", "fd00:10::2", "fd00:10::102"):
            assert get(full, client, vip, 1)[0].startswith("srv0")


def test_a_burst_at_both_vips_is_told_apart_by_service(full: Lab, tmp_path: Path) -> None:
    vips = ["192.168.10.2", "192.168.10.102"]
    done = run_loadgen(
        *("burst", "--vip", vips[0], "--vip", vips[1], "-n", "30", "--lab", full.name),
        *("--json", "-o", str(tmp_path / "run")),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    rows = document["targets"]
    assert [(row["vip"], row["port"], row["sent"], row["succeeded"]) for row in rows] == [
        (vip, 80, 15, 15) for vip in vips
    ]
    assert [row["peaks"][0]["director"] for row in rows] == ["bal01", "bal01"]
    assert all(row["peaks"][0]["inactive"] >= 15 for row in rows)  # of other tests, too
    (agreement,) = document["agreement"]
    assert agreement["entries_predicted"] == 30
    assert agreement["state_matches"] == agreement["state_samples"]
    assert set(agreement["residuals"]) <= {"poll", "clock", "timer", "poll_width"}
    closed = {row["state"]: row for row in document["lifetimes"]}["FIN_WAIT"]
    assert closed["timeout_s"] == 7
    assert closed["n_expired"] >= 30
    recording = Recording.open(tmp_path / "run")
    requests, entries = recording.table("requests"), recording.table("entries")
    sent = set(zip(requests["source_port"], requests["vip"], strict=True))
    held = set(zip(entries["client_port"], entries["vip"], strict=True))
    assert len(sent) == 30
    assert sent <= held
    assert {vip for _, vip in held} == set(recording.table("services")["vip"]) == set(vips)
    assert [service.vip for service in recording.manifest.services] == vips


@pytest.mark.parametrize("vip", ["192.168.10.2", "fd00:10::102"])
def test_the_udp_service_echoes_and_leaves_an_inactive_entry(full: Lab, vip: str) -> None:
    said = full.client.output(sys.executable, "-I", "-S", "-c", ECHO, vip)
    assert said == "word\n"
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    raw = socket.inet_pton(family, vip).hex()
    wanted = (
        raw.upper()
        if family == socket.AF_INET
        else ":".join(raw[at : at + 4] for at in range(0, 32, 4))
    )
    lines = [line.split() for line in full.directors["bal01"].entries().splitlines()]
    entries = [line for line in lines if line[0] == "UDP" and line[3] == wanted]
    assert [line[7] for line in entries] == ["UDP"]


def test_timeouts_sysctls_table_size_and_memory_are_as_given(full: Lab) -> None:
    director = full.directors["bal01"]
    printed = director.output("ipvsadm", "-L", "--timeout")
    assert printed == "Timeout (tcp tcpfin udp): 60 7 9\n"
    vs = "/proc/sys/net/ipv4/vs"
    assert director.output("cat", f"{vs}/conn_reuse_mode") == "0\n"
    assert director.output("cat", f"{vs}/sync_threshold") == "2\t9\n"
    assert "(size=1024)" in director.services()
    memory_kb = int(director.output("cat", "/proc/meminfo").split()[1])
    assert 64 * 1024 < memory_kb < 96 * 1024


def test_the_running_topology_comes_back_as_toml(full: Lab, tmp_path: Path) -> None:
    printed = loadgen("status", "--name", full.name, "--toml").stdout
    assert topology_file.from_toml(printed) == full.topology
    assert tomllib.loads(printed)["kernel"] == "uml"
    path = tmp_path / "lab.toml"
    path.write_text(printed)
    again = loadgen("up", "--name", full.name, "--topology", str(path))
    assert again.returncode == 0
    assert again.stderr.startswith(f"lab {full.name!r} is up already\n")


def test_status_tells_the_kernel_the_vips_and_the_weights(full: Lab) -> None:
    document = json.loads(loadgen("status", "--name", full.name, "--json").stdout)
    assert document["kernel"] == "uml"
    assert document["vips"] == {"192.168.10.2": "bal01", "192.168.10.102": "bal01"}
    weights = {host["name"]: host["weight"] for host in document["hosts"]}
    assert (weights["srv01"], weights["srv03"], weights["bal01"]) == (3, 1, None)
    assert "kernel uml (User-Mode Linux 6.1" in loadgen("status", "--name", full.name).stdout


def test_six_vips_are_shared_by_three_directors_and_evenly_by_two_when_one_is_lost(
    make_ipvs_lab: MakeLab,
) -> None:
    with make_ipvs_lab(lay_out(HostCounts(directors=3, vips=6))) as lab:
        held = vips_of(lab)
        assert {name: len(vips) for name, vips in held.items()} == {
            "bal01": 2,
            "bal02": 2,
            "bal03": 2,
        }
        lab.directors["bal01"].keepalived_stop()
        for _ in range(50):
            held = vips_of(lab)
            if sorted(map(len, held.values())) == [0, 3, 3]:
                break
        assert {name: len(vips) for name, vips in held.items()} == {
            "bal01": 0,
            "bal02": 3,
            "bal03": 3,
        }


def test_with_sync_the_backup_has_the_masters_entries(make_ipvs_lab: MakeLab) -> None:
    with make_ipvs_lab(lay_out(sync=True)) as lab:
        for director in lab.directors.values():
            assert len(director.entries().splitlines()) == 1, "the lab came up with entries"
        get(lab, "client", lab.topology.vip, 6)
        for _ in range(30):
            mirrored = lab.directors["bal02"].output("cat", "/proc/net/ip_vs_conn_sync")
            if mirrored.count(" SYNC ") == 6:
                break
        assert mirrored.count(" SYNC ") == 6
        assert mirrored.count("FIN_WAIT") == 6
        daemons = {n: d.output("ipvsadm", "-L", "--daemon") for n, d in lab.directors.items()}
        assert daemons["bal01"].startswith("master sync daemon (mcast=eth1, syncid=7")
        assert daemons["bal02"].startswith("backup sync daemon (mcast=eth1, syncid=7")


REFUSED = {
    "weights": (["--weights", "1,2,3"], "3 weights for 2 real servers"),
    "no weight": (["--weights", "0,0"], "with all weights 0 no real server gets a connection"),
    "plan": (["--vips", "2", "--plan", "bal01"], "a plan for 1 VIPs, but there are 2"),
    "stranger": (["--plan", "bal01,bal09"], "VIP 192.168.10.2: 'bal09' is no director"),
    "sync alone": (["--sync", "--directors", "1"], "the sync daemon needs a second director"),
    "sync static": (["--sync", "--vip-by", "static"], "sync and static VIPs do not go together"),
    "sync masters": (["--sync", "--vips", "2"], "sync wants one master for all"),
    "nat plans": (
        ["--forwarding", "nat", "--plan", "bal01,bal02", "--plan", "bal02,bal01"],
        "nat wants one plan for all VIPs",
    ),
    "flags": (["--scheduler-flags", "mh-port"], "scheduler rr has no flag 'mh-port'"),
    "sysctl": (["--sysctl", "kernel.panic=1"], "a sysctl is net.ipv4.vs.NAME=NUMBER"),
    "sysctl value": (["--sysctl", "net.ipv4.vs.conntrack=x;y"], "expected a number"),
    "table": (
        ["--conn-tab-bits", "20", "--director-memory", "64"],
        "a table of 2^20 buckets does not fit well into 64 MB",
    ),
    "host table": (["--kernel", "host", "--conn-tab-bits", "10"], "host's own kernel"),
    "too many": (["--directors", "6"], "6 is not in the range 1<=x<=5"),
    "scheduler": (["--scheduler", "best"], "'best' is not one of"),
    "file and flags": (["--topology", "x.toml", "--ipv6"], "cannot be combined with --ipv6"),
    "no file": (["--topology", "no-such.toml"], "no-such.toml: "),
}


@pytest.mark.parametrize(("flags", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_contradiction_is_one_line_and_nothing_is_started(
    lab_prefix: str, flags: list[str], expected: str
) -> None:
    name = f"{lab_prefix}-no"
    done = loadgen("up", "--name", name, *flags)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr
    assert running(name) is None


def test_a_kernel_without_ipvs_is_refused_as_the_directors(lab_prefix: str) -> None:
    done = loadgen("up", "--name", f"{lab_prefix}-no", "--kernel", "host")
    if done.returncode == 0:  # this machine has it
        down(f"{lab_prefix}-no")
        return
    assert done.returncode == 2
    assert done.stderr.endswith("kernel has no ip_vs; --kernel uml brings its own\n")


def get(lab: Lab, client: str, vip: str, count: int) -> list[str]:
    argv = [sys.executable, "-I", "-S", "-c", GET, vip, str(count)]
    return lab.hosts[client].output(*argv).split()


def vips_of(lab: Lab) -> dict[str, list[str]]:
    """The VIPs that each director holds now."""
    show = ("ip", "-4", "-o", "addr", "show", "dev", "eth1")
    with ThreadPoolExecutor(len(lab.directors)) as pool:
        texts = list(pool.map(lambda director: director.output(*show), lab.directors.values()))
    addresses = [vip.address for vip in lab.topology.vips]
    return {
        name: [address for address in addresses if f" {address}/" in text]
        for name, text in zip(lab.directors, texts, strict=True)
    }


def loadgen(*words: str) -> subprocess.CompletedProcess[str]:
    """``loadgen lab ...`` as a user would type it."""
    return run_loadgen("lab", *words)


def run_loadgen(*words: str) -> subprocess.CompletedProcess[str]:
    """``loadgen ...``, likewise."""
    main = "from loadgen.commands.loadgen import main; main()"
    argv = [sys.executable, "-c", main, *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=dict(os.environ))
