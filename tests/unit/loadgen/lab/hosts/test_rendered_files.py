"""What the hosts are configured with, as text."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from loadgen.lab.hosts import guest, keepalived, machine, nginx, ssh
from loadgen.lab.kernels import uml
from loadgen.lab.kernels.images import KernelImage
from loadgen.lab.system import wiring
from loadgen.lab.topology.model import exercise, namespace

EXERCISE_CONF = """\
global_defs {
   router_id bal01
}

vrrp_instance VI_1 {
    state MASTER
    interface eth1
    virtual_router_id 41
    priority 10
    advert_int 1

   virtual_ipaddress {
       192.168.10.2/32 dev eth1 label eth1:2
    }
}
"""


def test_the_masters_keepalived_conf_is_the_exercises() -> None:
    topology = exercise()
    assert keepalived.render(topology, topology.host("bal01")) == EXERCISE_CONF


def test_the_backups_conf_differs_in_name_state_and_priority_only() -> None:
    topology = exercise()
    changed = EXERCISE_CONF.replace("bal01", "bal02").replace("MASTER", "BACKUP")
    expected = changed.replace("priority 10", "priority 9")
    assert keepalived.render(topology, topology.host("bal02")) == expected


def test_both_directors_have_the_service_with_both_real_servers() -> None:
    assert guest.ipvs_rules(exercise()) == [
        "-A -t 192.168.10.2:80 -s rr",
        "-a -t 192.168.10.2:80 -r 192.168.10.21:80 -g -w 1",
        "-a -t 192.168.10.2:80 -r 192.168.10.22:80 -g -w 1",
    ]


def test_real_servers_alone_hold_the_vip_and_keep_still_about_it() -> None:
    topology = exercise()
    vip_line = "addr add 192.168.10.2/32 dev lo label lo:2"
    holders = [h.name for h in topology.hosts if vip_line in wiring.host_lines(topology, h)]
    assert holders == ["srv01", "srv02"]
    quiet = {"ipv4/conf/all/arp_ignore": "1", "ipv4/conf/all/arp_announce": "2"}
    server, client = topology.host("srv01"), topology.client
    assert wiring.sysctls(topology, server).items() >= quiet.items()
    assert not wiring.sysctls(topology, client).keys() & quiet.keys()


def test_the_hub_has_a_tap_per_director_and_a_veth_per_other_host() -> None:
    lines = wiring.hub_lines("x", exercise())
    taps = [line for line in lines if line.startswith("tuntap add")]
    veths = [line for line in lines if " type veth " in line]
    assert taps == ["tuntap add dev lg-bal01 mode tap", "tuntap add dev lg-bal02 mode tap"]
    assert [line.rpartition(" netns ")[2] for line in veths] == [
        "lg-x-client",
        "lg-x-srv01",
        "lg-x-srv02",
    ]


def test_every_namespace_begins_with_lg_and_the_labs_name() -> None:
    names = wiring.namespaces("x", exercise())
    assert names[0] == namespace("x", "hub")
    assert all(name.startswith("lg-x-") for name in names)


def test_known_hosts_pins_the_labs_key_for_every_director() -> None:
    text = ssh.known_hosts(exercise(), "ssh-ed25519 AAAA comment\n")
    assert text == "bal01,192.168.10.11 ssh-ed25519 AAAA\nbal02,192.168.10.12 ssh-ed25519 AAAA\n"


def test_ssh_asks_nothing_and_believes_only_the_labs_key(tmp_path: Path) -> None:
    """Read back by ssh itself: a word it did not know would be an error."""
    path = tmp_path / "ssh_config"
    path.write_text(ssh.config(exercise(), tmp_path))
    printed = subprocess.run(
        ["ssh", "-G", "-F", str(path), "bal02"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "hostname 192.168.10.12" in printed
    assert "user root" in printed
    assert "batchmode yes" in printed
    assert "stricthostkeychecking true" in printed
    assert f"userknownhostsfile {tmp_path}/known_hosts" in printed
    assert [line for line in printed if line.startswith("identityfile")] == [
        f"identityfile {tmp_path}/client_key"
    ]


IMAGE = KernelImage(program=Path("/cache/7.2/linux.uml"), modules=Path("/cache/7.2/modules"))


@pytest.fixture
def bal01(tmp_path: Path) -> machine.HostProcess:
    """A director that is not started."""
    topology = exercise()
    return machine.HostProcess(
        lab_name="x",
        host_name="bal01",
        directory=tmp_path,
        memory_directory=tmp_path / "memory",
        argv=uml.command("x", topology, topology.host("bal01"), tmp_path, IMAGE),
    )


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("one\ntwo\nthree\nfour\n", "two | three | four"),  # the end of what it said
        # init gave up: why, and not the kernel's farewell
        (
            "noise\nno such file\nloadgen-lab: bal01: no service\nhalted\n",
            "no such file | bal01: no service",
        ),
        ("", "no output"),
    ],
)
def test_a_kernel_that_ended_says_why(
    bal01: machine.HostProcess, console: str, expected: str
) -> None:
    bal01.share.mkdir()
    bal01.console_log.write_text(console)
    assert str(machine.ended_early(bal01)) == f"bal01: linux.uml ended: {expected}"


def test_the_console_of_a_host_that_did_not_boot_is_kept(
    bal01: machine.HostProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert machine.keep_console_log(bal01) is None
    bal01.share.mkdir()
    printed = "".join(f"line {number}\n" for number in range(20)) + "\x1b[31mred\n"
    bal01.console_log.write_text(printed)
    lines = machine.keep_console_log(bal01)
    assert lines is not None
    assert lines[:-1] == [*(f"  bal01| line {n}" for n in range(11, 20)), "  bal01| [31mred"]
    kept = Path(lines[-1].rpartition(" ")[2])
    assert lines[-1] == f"bal01: its console is kept in {kept}"
    assert kept.read_text() == printed


def test_the_guests_command_line_has_its_tap_and_no_word_with_a_blank(
    bal01: machine.HostProcess,
) -> None:
    words = bal01.argv
    assert words[:4] == ["ip", "netns", "exec", "lg-x-hub"]
    assert "vec0:transport=tap,ifname=lg-bal01,depth=128,gro=1" in words
    assert "mem=128M" in words
    assert {"/cache/7.2/linux.uml", "LG_MODULES=/cache/7.2/modules"} <= set(words)
    assert not [word for word in words if " " in word]


@pytest.mark.parametrize("name", ["init.sh", "namespace.sh", "boot.sh"])
def test_the_hosts_scripts_are_shell(name: str) -> None:
    done = subprocess.run(["sh", "-n", str(machine.HERE / name)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nginx_answers_with_its_servers_name() -> None:
    topology = exercise()
    text = nginx.config(topology, topology.host("srv02"))
    assert 'return 200 "srv02\\n";' in text
    assert "listen 80 " in text
