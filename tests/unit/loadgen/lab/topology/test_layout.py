"""Topologies from numbers, from TOML, and what contradicts itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import Timeouts
from loadgen.errors import UsageProblem
from loadgen.lab.system import wiring
from loadgen.lab.topology import contradictions
from loadgen.lab.topology import file as topology_file
from loadgen.lab.topology.layout import HostCounts, default_plan, lay_out
from loadgen.lab.topology.model import Kernel, Topology, address6, exercise, namespace
from tests.unit.properties import examples

SECONDS = st.integers(1, 100_000)
SYSCTL = st.tuples(
    st.from_regex(r"net\.ipv4\.vs\.[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.from_regex(r"[0-9]{1,9}( [0-9]{1,9})?", fullmatch=True),
)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Any that the flags can describe."""
    counts = HostCounts(
        directors=draw(st.integers(1, 5)),
        servers=draw(st.integers(1, 16)),
        clients=draw(st.integers(1, 16)),
        vips=draw(st.integers(1, 60)),
    )
    weights = [draw(st.integers(0, 65535)) for _ in range(counts.servers)]
    weights[0] = weights[0] or 1
    forwarding = draw(st.sampled_from(contradictions.FORWARDINGS))
    scheduler = draw(st.sampled_from(contradictions.SCHEDULERS))
    flags = contradictions.SCHEDULER_FLAGS.get(scheduler, ())
    vip_by = draw(st.sampled_from(contradictions.VIP_BY))
    alone = counts.directors == 1 or (counts.vips > 1 and forwarding != "nat")
    return lay_out(
        counts,
        weights=weights,
        forwarding=forwarding,
        scheduler=scheduler,
        scheduler_flags=draw(st.sampled_from([None, *flags])),
        vip_by=vip_by,
        sync=vip_by == "keepalived" and not alone and draw(st.booleans()),
        ipv6=draw(st.booleans()),
        port=draw(st.sampled_from([80, 443, 8080])),
        udp_port=draw(st.sampled_from([None, 7])),
        timeouts=Timeouts(tcp_s=draw(SECONDS), tcpfin_s=draw(SECONDS), udp_s=draw(SECONDS)),
        sysctls=tuple(dict(draw(st.lists(SYSCTL, max_size=3))).items()),
        kernel=draw(st.sampled_from([Kernel.AUTO, Kernel.UML])),
        director_memory_mb=draw(st.integers(128, 4096)),
        conn_tab_bits=draw(st.sampled_from([None, 8, 12, 20])),
    )


@given(topologies())
@examples(60)
def test_every_topology_survives_toml_and_json(topology: Topology) -> None:
    assert topology_file.from_toml(topology_file.to_toml(topology)) == topology
    assert Topology.from_dict(topology.to_dict()) == topology


@given(topologies())
@examples(60)
def test_every_host_and_vip_has_an_address_and_a_mac_of_its_own(topology: Topology) -> None:
    addresses = [host.address for host in topology.hosts]
    addresses += [vip.address for vip in topology.vips]
    assert len(set(addresses)) == len(addresses)
    assert len({host.mac for host in topology.hosts}) == len(topology.hosts)
    names = [*wiring.namespaces("x" * 16, topology), namespace("x" * 16, "client16")]
    assert all(name.startswith(f"lg-{'x' * 16}-") for name in names)


@given(topologies())
@examples(60)
def test_only_directors_forward_and_only_in_nat(topology: Topology) -> None:
    for host in topology.hosts:
        forwards = wiring.sysctls(topology, host).get("ipv4/ip_forward") == "1"
        assert forwards == (host in topology.directors and topology.forwarding == "nat")


def test_the_default_layout_is_the_exercise() -> None:
    assert lay_out() == exercise()
    assert topology_file.from_toml("") == exercise()


def test_counts_in_a_file_are_enough() -> None:
    made = topology_file.from_toml("directors = 3\nservers = 4\nvips = 6\nforwarding = 'tun'\n")
    assert made == lay_out(HostCounts(directors=3, servers=4, vips=6), forwarding="tun")


@pytest.mark.parametrize("kind", ["nftables", "iptables"])
def test_directors_by_rules_have_nat_and_servers_with_one_way_back_by_default(kind: str) -> None:
    made = lay_out(HostCounts(vips=2), director_kind=kind)
    assert made == lay_out(HostCounts(vips=2), director_kind=kind, forwarding="nat")
    assert (made.forwarding, lay_out(director_kind="ipvs").forwarding) == ("nat", "dr")


def test_directors_by_rules_forward_by_nat_and_come_back_from_a_file() -> None:
    text = "director_kind = 'nftables'\n[sysctl]\n'net.netfilter.nf_conntrack_max' = 9\n"
    made = topology_file.from_toml(text)
    sysctls = (("net.netfilter.nf_conntrack_max", "9"),)
    assert made == lay_out(forwarding="nat", director_kind="nftables", sysctls=sysctls)
    assert not made.has_ipvs
    assert topology_file.from_toml(topology_file.to_toml(made)) == made


def test_a_file_may_name_its_directors() -> None:
    text = "[[directors]]\nname = 'left'\naddress = '192.168.10.31'\n"
    text += "[[directors]]\nname = 'right'\naddress = '192.168.10.32'\n"
    made = topology_file.from_toml(text)
    assert made.vips[0].priorities == (("left", 10), ("right", 9))


@pytest.mark.parametrize(
    ("directors", "vips"),
    [(2, 2), (3, 6), (4, 12), (5, 20)],  # n x (n - 1)
)
def test_a_lost_director_s_vips_spread_evenly(directors: int, vips: int) -> None:
    names = [f"d{number}" for number in range(directors)]
    plan = default_plan(names, vips, alike=False)
    assert set(Counter(row[0] for row in plan).values()) == {directors - 1}
    assert set(Counter((row[0], row[1]) for row in plan).values()) == {1}
    assert all(sorted(row) == names for row in plan)


def test_an_ipv6_address_ends_like_the_ipv4_one() -> None:
    assert address6("192.168.10.21") == "fd00:10::21"
    assert address6("192.168.20.1") == "fd00:20::1"


FILES = {
    "no toml": ("directors = ", "Invalid value"),
    "unknown key": ("color = 'red'", "a topology has no 'color'; it has "),
    "a type": ("port = 'http'", "port: expected int, not 'http'"),
    "a truth": ("sync = 1", "sync: expected bool, not 1"),
    "a count": ("directors = 'two'", "directors: expected a number or tables"),
    "far too many": ("directors = 1000000000", "a lab has 1 to 5 directors, not 1000000000"),
    "timeouts": ("timeouts = [1, 2]", "timeouts: expected three numbers"),
    "zero": ("timeouts = [900, 0, 300]", "timeouts are whole seconds, at least 1 each"),
    "kernel": ("kernel = 'qemu'", "kernel is one of auto, uml, host, not 'qemu'"),
    "scheduler": ("scheduler = 'best'", "scheduler is one of rr, wrr, "),
    "sysctl": ("sysctl = 3", 'sysctl: expected "NAME" = NUMBER'),
    "host key": ("[[servers]]\nname='a'\naddress='192.168.10.3'\ncpu=2", "a server has no 'cpu'"),
    "kind": ("director_kind = 'bpf'", "director_kind is one of ipvs, nftables, iptables"),
    "no nat": (
        "director_kind = 'nftables'\nforwarding = 'dr'",
        "directors by nftables translate addresses: forwarding nat, not dr",
    ),
    "no weights": (
        "director_kind = 'nftables'\nscheduler = 'wrr'",
        "behind directors by nftables servers take turns: scheduler rr, and weights 1",
    ),
    "no timeouts": (
        "director_kind = 'iptables'\ntimeouts = [900, 20, 300]",
        "timeouts are IPVS's; of directors by iptables they are sysctls",
    ),
    "no sync": ("director_kind = 'nftables'\nsync = true", "the sync daemon is IPVS's"),
    "no buckets": ("director_kind = 'nftables'\nconn_tab_bits = 9", "conn_tab_bits is IPVS's"),
    "sysctl of IPVS": (
        "director_kind = 'nftables'\n[sysctl]\n'net.ipv4.vs.drop_entry' = 1",
        "a sysctl is net.netfilter.nf_conntrack_NAME=NUMBER",
    ),
    "sysctl of tracking": (
        "[sysctl]\n'net.netfilter.nf_conntrack_max' = 1",
        "a sysctl is net.ipv4.vs.NAME=NUMBER",
    ),
    "no address": ("[[servers]]\nname='a'", "a server's address: expected str, not None"),
    "a bad name": ("[[servers]]\nname='A b'\naddress='192.168.10.3'", "a host's name is 1 to 11"),
    "elsewhere": ("[[servers]]\nname='a'\naddress='10.0.0.1'", "a: expected an address of 192"),
    "no address at all": ("[[servers]]\nname='a'\naddress='; reboot'", "a: expected an address"),
    "twice": (
        "[[servers]]\nname='a'\naddress='192.168.10.2'",
        "two hosts or VIPs have addresses that end with 2",
    ),
    "priorities": (
        "[[vips]]\naddress='192.168.10.2'\nvirtual_router_id=1\npriorities={bal01=1, bal02=1}",
        "VRRP priorities differ",
    ),
    "router id": (
        "[[vips]]\naddress='192.168.10.2'\nvirtual_router_id=256\npriorities={bal01=1}",
        "virtual_router_id is 1 to 255, not 256",
    ),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_is_refused_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        topology_file.from_toml(text)
    assert str(caught.value).startswith(expected) or expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_machines_own_kernel_takes_no_table_size() -> None:
    topology = replace(exercise(), kernel=Kernel.HOST, conn_tab_bits=10)
    assert any("conn_tab_bits" in line for line in contradictions.contradictions(topology))
