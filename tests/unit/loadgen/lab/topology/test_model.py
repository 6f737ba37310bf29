"""The topology is data: what it says, and that it survives being written down."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.errors import UsageProblem
from loadgen.lab.topology import model as topology
from loadgen.lab.topology.model import Topology, exercise


def test_the_exercise_has_its_hosts_at_their_addresses() -> None:
    hosts = {host.name: (host.role.value, host.address) for host in exercise().hosts}
    assert hosts == {
        "client": ("client", "192.168.10.250"),
        "bal01": ("director", "192.168.10.11"),
        "bal02": ("director", "192.168.10.12"),
        "srv01": ("server", "192.168.10.21"),
        "srv02": ("server", "192.168.10.22"),
    }


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_lab_holds_its_virtual_ips_of_the_versions_that_it_has(ipv6: bool) -> None:
    made = replace(exercise(), ipv6=ipv6)
    assert made.holds("192.168.10.2")
    assert made.holds("fd00:10::2") is ipv6
    assert not made.holds("192.168.10.11")


def test_a_mac_address_ends_with_the_last_octet_in_hexadecimal() -> None:
    macs = {host.name: host.mac for host in exercise().hosts}
    assert macs["client"] == "02:00:00:00:00:fa"
    assert macs["bal01"] == "02:00:00:00:00:0b"
    assert len(set(macs.values())) == len(macs)


def test_the_first_master_has_the_highest_priority() -> None:
    assert exercise().first_master.name == "bal01"


def test_a_topology_survives_json() -> None:
    wanted = exercise(Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300))
    assert Topology.from_dict(json.loads(json.dumps(wanted.to_dict()))) == wanted


def test_an_unknown_host_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageProblem, match=r"'web01'.*client, bal01, bal02, srv01, srv02"):
        exercise().host("web01")


def test_a_difference_names_what_differs_and_nothing_else() -> None:
    other = replace(exercise(), timeouts=Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300))
    assert topology.difference(exercise(), other) == "timeouts 900,120,300 instead of 900,20,300"


@pytest.mark.parametrize("name", ["lab", "a", "0-9", "x" * 16])
def test_a_good_lab_name_passes(name: str) -> None:
    assert topology.check_lab_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 17, "Lab", "a b", "../etc", "lab\n", "läb"])
def test_a_bad_lab_name_is_refused(name: str) -> None:
    with pytest.raises(UsageProblem, match="a lab's name is"):
        topology.check_lab_name(name)


@pytest.mark.parametrize(
    ("namespace", "lab_name"),
    [
        ("lg-lab-client", "lab"),
        ("lg-a-b-srv01", "a-b"),  # dashes belong to the lab's name, hosts have none
        ("lg-a-srv01", "a"),  # so a lab "a" never owns what is of "a-b"
        ("client", None),
        ("xlg-lab-client", None),
        ("lg-client", None),
    ],
)
def test_a_namespace_tells_its_lab(namespace: str, lab_name: str | None) -> None:
    assert topology.lab_of_namespace(namespace) == lab_name


def test_port_names_fit_into_an_interface_name() -> None:
    names = [topology.port_name(host.name) for host in exercise().hosts]
    assert all(len(name) <= 15 for name in names)  # IFNAMSIZ - 1
