"""What the hosts are configured with, as text."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.lab.hosts import guest, keepalived, machine, netfilter, nginx, ssh
from loadgen.lab.kernels import uml
from loadgen.lab.kernels.images import KernelImage
from loadgen.lab.system import wiring
from loadgen.lab.topology.layout import HostCounts, lay_out
from loadgen.lab.topology.model import exercise, namespace

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Topology

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


def booted(tmp_path: Path, files: dict[str, str]) -> list[str]:
    """The programs that boot.sh runs with this share, in their order; none is a real one."""
    share, programs, ran = tmp_path / "share", tmp_path / "programs", tmp_path / "ran"
    for name, text in files.items():
        share.mkdir(exist_ok=True)
        (share / name).write_text(text)
    programs.mkdir()
    ran.touch()
    for name in ("ip", "ipvsadm", "nft", "iptables-legacy-restore", "keepalived", "sshd"):
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{ran}\n")
        (programs / name).chmod(0o755)
    script = (machine.HERE / "boot.sh").read_text()
    script = script.replace("share=/run/lab", f"share={share}")
    script = script.replace("/usr/sbin/sshd", str(programs / "sshd"))
    done = subprocess.run(
        ["sh", "-c", f"die() {{ echo $*; exit 1; }}\n{script}\nwait"],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return ran.read_text().split()


@pytest.mark.parametrize("kind", ["ipvs", "nftables", "iptables"])
@pytest.mark.parametrize("is_later", [False, True])
def test_keepalived_waits_where_its_host_elects_later(
    kind: str, tmp_path: Path, *, is_later: bool
) -> None:
    topology = lay_out(HostCounts(servers=2), forwarding="nat", director_kind=kind)
    files = {**guest.share_files(topology, topology.host("bal01")), "sysctls": ""}
    assert "keepalived.conf" in files
    if is_later:
        files[guest.KEEPALIVED_LATER] = ""
    started = booted(tmp_path, files).count("keepalived")
    assert started == (0 if is_later else 1)


def test_nginx_answers_with_its_servers_name() -> None:
    topology = exercise()
    text = nginx.config(topology, topology.host("srv02"))
    assert 'return 200 "srv02\\n";' in text
    assert "listen 80 " in text


def rules_topology(kind: str, *, servers: int = 3, ipv6: bool = False) -> Topology:
    return lay_out(
        HostCounts(servers=servers), forwarding="nat", director_kind=kind, ipv6=ipv6, udp_port=7
    )


NFT_RULES = """\
table ip loadgen
delete table ip loadgen
table ip loadgen {
\tchain prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tip daddr 192.168.10.2 tcp dport 80 dnat to numgen inc mod 3 map { 0 : 192.168.20.21, 1 : 192.168.20.22, 2 : 192.168.20.23 }
\t\tip daddr 192.168.10.2 udp dport 7 dnat to numgen inc mod 3 map { 0 : 192.168.20.21, 1 : 192.168.20.22, 2 : 192.168.20.23 }
\t}
}
"""  # noqa: E501 - a rule is a line


def test_a_director_by_nftables_gives_the_servers_their_turns() -> None:
    assert netfilter.nft_rules(rules_topology("nftables")) == NFT_RULES


def test_one_server_takes_every_turn() -> None:
    rules = netfilter.nft_rules(rules_topology("nftables", servers=1))
    assert "\t\tip daddr 192.168.10.2 tcp dport 80 dnat to 192.168.20.21\n" in rules


def test_a_director_by_iptables_gives_every_nth_connection_of_those_left() -> None:
    rules = netfilter.iptables_rules(rules_topology("iptables"), family6=False).splitlines()
    match = "-A PREROUTING -d 192.168.10.2 -p tcp -m tcp --dport 80"
    nth = "-m statistic --mode nth --every"
    assert rules[:4] == [
        "*nat",
        f"{match} {nth} 3 --packet 0 -j DNAT --to-destination 192.168.20.21:80",
        f"{match} {nth} 2 --packet 0 -j DNAT --to-destination 192.168.20.22:80",
        f"{match} -j DNAT --to-destination 192.168.20.23:80",
    ]
    assert rules[-1] == "COMMIT"


def test_ipv6_has_rules_of_its_own() -> None:
    assert "\t\tip6 daddr fd00:10::2 tcp dport 80 dnat to numgen inc mod 3" in netfilter.nft_rules(
        rules_topology("nftables", ipv6=True)
    )
    made = netfilter.files(rules_topology("iptables", ipv6=True))
    assert list(made) == ["iptables.rules", "ip6tables.rules"]
    assert "--to-destination [fd00:20::23]:7\n" in made["ip6tables.rules"]


@pytest.mark.parametrize(
    ("kind", "there"), [("nftables", {"nft.rules"}), ("iptables", {"iptables.rules"})]
)
def test_a_director_by_rules_has_these_and_nothing_of_ipvs(kind: str, there: set[str]) -> None:
    topology = rules_topology(kind)
    files = guest.share_files(topology, topology.host("bal01"))
    assert there < files.keys()
    assert files.keys().isdisjoint({"ipvs.rules", "timeouts", "ip_vs.options"})
    assert "ip_vs" not in files["modules"]
    assert netfilter.PROVES[kind] in files["modules"].split()
    assert "ipv4/ip_forward 1\n" in files["sysctls"]


def test_a_sysctl_of_tracking_is_set_on_every_director() -> None:
    sysctls = (("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "7"),)
    topology = lay_out(forwarding="nat", director_kind="nftables", sysctls=sysctls)
    files = guest.share_files(topology, topology.host("bal02"))
    assert "netfilter/nf_conntrack_tcp_timeout_time_wait 7\n" in files["sysctls"]
