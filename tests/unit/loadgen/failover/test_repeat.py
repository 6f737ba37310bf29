"""Between repeated fail-overs: a lab with nopreempt has to be made to give the VIP back."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from loadgen.failover.repeat import give_back
from loadgen.lab.topology.layout import lay_out

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Topology

VIP = "192.168.10.2"


@dataclass
class Director:
    """Stands in for one of a lab."""

    held: set[str]
    done: list[str] = field(default_factory=list)

    def holds(self, vip: str) -> bool:
        return vip in self.held

    def keepalived_stop(self) -> None:
        self.done.append("stop")

    def keepalived_start(self) -> None:
        self.done.append("start")


def given_back(topology: Topology, **held: set[str]) -> dict[str, list[str]]:
    directors = {name: Director(vips) for name, vips in held.items()}
    lab: Any = SimpleNamespace(topology=topology, directors=directors)
    give_back(lab, VIP)
    return {name: director.done for name, director in directors.items()}


def test_who_holds_the_vip_though_another_is_first_stops_and_starts() -> None:
    done = given_back(lay_out(nopreempt=True), bal01=set(), bal02={VIP})
    assert done == {"bal01": [], "bal02": ["stop", "start"]}


def test_where_the_first_master_has_it_or_nobody_does_nothing_is_done() -> None:
    lab = lay_out(nopreempt=True)
    assert given_back(lab, bal01={VIP}, bal02={"192.168.10.3"}) == {"bal01": [], "bal02": []}
    assert given_back(lab, bal01=set(), bal02=set()) == {"bal01": [], "bal02": []}


def test_a_lab_that_preempts_gives_it_back_by_itself() -> None:
    done = given_back(lay_out(), bal01=set(), bal02={VIP})
    assert done == {"bal01": [], "bal02": []}
    give_back(None, VIP)  # directors of others are left alone
