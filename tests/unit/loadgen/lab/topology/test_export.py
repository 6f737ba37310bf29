"""What is exported is read by the programs it is for: keepalived and Ruby."""

from __future__ import annotations

import os
import shutil
import subprocess
from ipaddress import ip_interface
from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.lab.hosts import guest
from loadgen.lab.system.programs import search_path
from loadgen.lab.topology import export
from loadgen.lab.topology.layout import HostCounts, lay_out
from loadgen.lab.topology.model import Topology, exercise

if TYPE_CHECKING:
    from pathlib import Path

WITH_ETH1 = 'ip link add eth1 type veth peer name other && ip link set lo up && "$@"'
"""keepalived looks for the interfaces that it is to use."""
STYLES = ("ipvsadm", "virtual-server")
TOPOLOGIES = {
    "exercise": exercise(),
    "nat-dual-stack": lay_out(forwarding="nat", ipv6=True, udp_port=7),
    "tun": lay_out(forwarding="tun", ipv6=True),
    "nat-two-vips": lay_out(HostCounts(vips=2), forwarding="nat"),
    "sync-hash": lay_out(sync=True, scheduler="mh", scheduler_flags="mh-port"),
    "three-by-six": lay_out(HostCounts(directors=3, servers=4, vips=6), weights=(4, 3, 2, 0)),
    "static": lay_out(vip_by="static", timeouts=Timeouts(tcp_s=60, tcpfin_s=5, udp_s=9)),
}

over_all = pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
in_both_styles = pytest.mark.parametrize("style", STYLES)


@over_all
@in_both_styles
def test_keepalived_finds_no_fault_with_any_conf(
    topology: Topology, style: str, tmp_path: Path
) -> None:
    paths = export.write(topology, tmp_path, style)
    confs = [path for path in paths if path.name == "keepalived.conf"]
    wanted = len(topology.directors)
    assert len(confs) == (0 if topology.vip_by == "static" and style == "ipvsadm" else wanted)
    keepalived = shutil.which("keepalived", path=search_path())
    assert keepalived, "keepalived is not installed: apt install keepalived"
    for conf in confs:
        test = [keepalived, f"--config-test={tmp_path}/report", "-f", str(conf)]
        done = subprocess.run(
            ["unshare", "--map-root-user", "--net", "sh", "-c", WITH_ETH1, "sh", *test],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": search_path()},
        )
        report = (tmp_path / "report").read_text() if (tmp_path / "report").exists() else ""
        assert done.returncode == 0, report + done.stderr


@over_all
def test_ruby_reads_the_vagrantfile(topology: Topology, tmp_path: Path) -> None:
    export.write(topology, tmp_path, "ipvsadm")
    assert shutil.which("ruby"), "ruby is not installed: apt install ruby"
    done = subprocess.run(
        ["ruby", "-c", str(tmp_path / "Vagrantfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "Syntax OK\n"), done.stderr


@over_all
def test_every_host_has_its_own_files_and_the_rules_are_the_labs(
    topology: Topology, tmp_path: Path
) -> None:
    export.write(topology, tmp_path, "ipvsadm")
    text = (tmp_path / "Vagrantfile").read_text()
    for host in topology.hosts:
        assert f"'{host.name}' => {{ mac: '{host.mac.replace(':', '').upper()}'" in text
        assert f'"{host.address}/24"' in (tmp_path / host.name / "60-lab.yaml").read_text()
    for director in topology.directors:
        rules = (tmp_path / director.name / "ipvs.rules").read_text().splitlines()
        assert rules == guest.ipvs_rules(topology)


@over_all
def test_every_address_of_a_netplan_is_one(topology: Topology) -> None:
    for host in topology.hosts:
        lines = export.netplan(topology, host).splitlines()
        found = [line.split('"')[1] for line in lines if line.strip().startswith('- "')]
        assert found
        assert len({ip_interface(address) for address in found}) == len(found)


def test_real_servers_keep_still_about_the_vip() -> None:
    topology = exercise()
    conf = export.sysctl_conf(topology, topology.host("srv01"))
    assert "net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.all.arp_announce = 2\n" in conf
    assert '"192.168.10.2/32"' in export.netplan(topology, topology.host("srv01"))
    assert "192.168.10.2/32" not in export.netplan(topology, topology.host("bal01"))


def test_an_export_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    from loadgen.errors import RunFailed

    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailed, match=r"export to .*/file: "):
        export.write(exercise(), tmp_path / "file", "ipvsadm")


@pytest.mark.parametrize(
    ("kind", "rules"), [("nftables", "nft.rules"), ("iptables", "iptables.rules")]
)
@in_both_styles
def test_directors_by_rules_have_these_and_nothing_of_ipvs(
    kind: str, rules: str, style: str
) -> None:
    sysctls = (("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "30"),)
    topology = lay_out(director_kind=kind, forwarding="nat", sysctls=sysctls)
    files = export.files(topology, style)
    directors = {name: text for name, text in files.items() if name.startswith("bal01/")}
    assert directors.keys() == {
        f"bal01/{name}" for name in ("60-lab.yaml", "90-ipvs.conf", "keepalived.conf", rules)
    }
    assert "net.netfilter.nf_conntrack_tcp_timeout_time_wait = 30\n" in files["bal01/90-ipvs.conf"]
    assert "virtual_server" not in files["bal01/keepalived.conf"]
    assert f"install {kind} keepalived" in files["Vagrantfile"]
    assert "modprobe nf_conntrack\n" in files["Vagrantfile"]
