"""The last step of ``lab up``: directors are emptied once, and asked who holds the VIPs."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import RunFailed
from loadgen.lab.hosts import ssh
from loadgen.lab.settle import _wrong_holder, settle
from loadgen.lab.topology.layout import HostCounts, lay_out

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Topology

VIP, VIP6 = "192.168.10.2", "fd00:10::2"


def shown(*addresses: str) -> str:
    """What a director prints: its kernel, then its addresses."""
    lines = [f"2: eth1    inet {address} scope global eth1" for address in addresses]
    return "\n".join(["6.1.176", *lines]) + "\n"


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ([f"{VIP}/32"], ["192.168.10.12/24"], None),
        ([], [], f"{VIP} is held by nobody, not by bal01"),
        ([], [f"{VIP}/32"], f"{VIP} is held by bal02, not by bal01"),
        ([f"{VIP}/32"], [f"{VIP}/32"], f"{VIP} is held by bal01 and bal02, not by bal01"),
        ([f"{VIP}1/32"], [], f"{VIP} is held by nobody, not by bal01"),
    ],
)
def test_a_vip_is_with_its_first_master_alone(
    first: list[str], second: list[str], wrong: str | None
) -> None:
    addresses = {"bal01": shown(*first), "bal02": shown(*second)}
    assert _wrong_holder(lay_out(), addresses) == wrong


def test_with_ipv6_both_addresses_have_to_be_there() -> None:
    topology = lay_out(ipv6=True)
    first = {"bal01": shown(f"{VIP}/32"), "bal02": shown()}
    assert _wrong_holder(topology, first) == f"{VIP6} is held by nobody, not by bal01"
    both = {"bal01": shown(f"{VIP}/32", f"{VIP6}/128"), "bal02": shown()}
    assert _wrong_holder(topology, both) is None


class Directors:
    """Answers the scripts, one round after another; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *rounds: dict[str, str]) -> None:
        self.rounds = list(rounds)
        self.scripts: list[str] = []
        self.slept_s: list[float] = []
        monkeypatch.setattr(ssh, "ask_all", self.ask_all)
        monkeypatch.setattr(time, "sleep", self.slept_s.append)

    def ask_all(
        self, names: list[str], script: str, namespace: str, config: Path, *, limit_s: float
    ) -> dict[str, subprocess.CompletedProcess[str]]:
        assert limit_s > 0
        self.scripts.append(script)
        said = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        return {name: subprocess.CompletedProcess([], 0, said[name], "") for name in names}


RIGHT = {"bal01": shown(f"{VIP}/32", f"{VIP6}/128"), "bal02": shown()}
WRONG = {"bal01": shown(f"{VIP}/32"), "bal02": shown(f"{VIP6}/128")}


def settled(topology: Topology) -> str:
    return settle(topology, "lg-x-client", Path("ssh_config"))


@pytest.mark.parametrize(
    ("kind", "empties"),
    [("ipvs", "ipvsadm -C"), ("nftables", "conntrack -F"), ("iptables", "conntrack -F")],
)
def test_directors_are_emptied_once_however_often_they_are_asked_who_won(
    kind: str, empties: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directors = Directors(monkeypatch, WRONG, WRONG, RIGHT)
    topology = lay_out(HostCounts(servers=2), forwarding="nat", director_kind=kind, ipv6=True)
    assert settled(topology) == "6.1.176"
    assert [empties in script for script in directors.scripts] == [True, False, False]
    assert directors.slept_s == [topology.advert_interval_s] * 2


def test_entries_are_waited_for_once_where_directors_keep_each_other_in_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directors = Directors(monkeypatch, WRONG, RIGHT)
    settled(lay_out(ipv6=True, sync=True))
    assert ["sleep 2.5\n" in script for script in directors.scripts] == [True, False]


@pytest.mark.parametrize(("ipv6", "tries"), [(False, 1), (True, 5)])
def test_after_the_last_try_nothing_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tries: int, *, ipv6: bool
) -> None:
    directors = Directors(monkeypatch, {"bal01": shown(), "bal02": shown()})
    with pytest.raises(RunFailed, match="is held by nobody, not by bal01"):
        settled(lay_out(ipv6=ipv6))
    assert (len(directors.scripts), len(directors.slept_s)) == (tries, tries - 1)
