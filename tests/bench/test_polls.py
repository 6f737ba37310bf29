"""What a poll costs the director: a look at services beside ``ipvsadm -Ln`` started for each.

Both are asked through the same shell of a lab's director, in the same run; CPU time is what the
kernel there counts for that shell and all it started (``times``), the sed's included. What sshd
takes to carry the answers comes on top of either, and is printed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from loadgen.director.links.client import DirectorClient
from loadgen.director.links.link import Link, lab_link
from loadgen.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOKS, STARTS, ROUNDS = 600, 60, 3
BAR = 10
"""A poll of services takes a tenth, at most, of what ipvsadm takes."""


@dataclass(frozen=True)
class Cost:
    """CPU time on the director for one look, seconds: the shell's and its children's; sshd's."""

    shell_s: float
    sshd_s: float


def link_of(lab: Lab, name: str) -> Link:
    """The director by ssh, from the lab's client."""
    found = lab_link(name, lab.topology.host(name).address, lab.ssh_config)
    return replace(found, argv=("ip", "netns", "exec", lab.client_namespace, *found.argv))


async def cpu_s(client: DirectorClient) -> tuple[float, float]:
    """The shell's and its children's CPU time so far, and that of the sshd above it."""
    script = 'times; read -r s </proc/$PPID/stat; echo "sshd $s"'
    text = (await client.ask(script, timeout_s=20)).text
    parts = re.findall(r"(\d+)m([\d.]+)s", text)
    fields = text.split("sshd ")[1].rpartition(")")[2].split()
    ticks = sum(int(number) for number in fields[11:13])
    return sum(int(minutes) * 60 + float(s) for minutes, s in parts), ticks / 100


async def cost_of(client: DirectorClient, act: Callable[[], Awaitable[object]], times: int) -> Cost:
    await act()
    before = await cpu_s(client)
    for _ in range(times):
        await act()
    after = await cpu_s(client)
    return Cost((after[0] - before[0]) / times, (after[1] - before[1]) / times)


async def measure(link: Link) -> dict[str, list[Cost]]:
    """Each way in turn, several rounds."""
    client = DirectorClient(link)
    await client.open()
    ways: dict[str, tuple[Callable[[], Awaitable[object]], int]] = {
        "services, by us": (lambda: client.poll("services", timeout_s=20), LOOKS),
        "with entries, by us": (lambda: client.poll("entries", timeout_s=20), LOOKS),
        "cat of the same": (lambda: client.ask("cat /proc/net/ip_vs", timeout_s=20), STARTS),
        "ipvsadm -Ln": (lambda: client.ask("ipvsadm -Ln", timeout_s=20), STARTS),
        "ipvsadm -Ln --stats": (lambda: client.counters(timeout_s=20), STARTS),
    }
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (act, times) in ways.items():
            found[name].append(await cost_of(client, act, times))
    await client.close()
    return found


@pytest.fixture(scope="module")
def costs() -> dict[str, Cost]:
    """The median of the rounds, printed as a table."""
    with Lab() as lab:
        lab.client.run("sh", "-c", "for i in $(seq 50); do curl -s -o /dev/null 192.168.10.2; done")
        found = asyncio.run(measure(link_of(lab, "bal01")))
    middle = {
        name: Cost(*(sorted(column)[ROUNDS // 2] for column in zip(*map(_pair, rows), strict=True)))
        for name, rows in found.items()
    }
    peer = middle["ipvsadm -Ln"]
    print(f"\n{'CPU on the director':24} {'shell, ms':>10} {'sshd, ms':>9} {'of ipvsadm -Ln':>15}")
    for name, cost in middle.items():
        ratio = peer.shell_s / cost.shell_s if cost.shell_s else float("inf")
        print(
            f"{name:24} {cost.shell_s * 1e3:10.2f} {cost.sshd_s * 1e3:9.2f} {f'1/{ratio:.1f}':>15}"
        )
    return middle


def _pair(cost: Cost) -> tuple[float, float]:
    return cost.shell_s, cost.sshd_s


def test_a_poll_of_services_takes_a_tenth_of_ipvsadm_at_most(costs: dict[str, Cost]) -> None:
    assert costs["services, by us"].shell_s <= costs["ipvsadm -Ln"].shell_s / BAR


def test_so_does_one_with_the_entries_of_fifty_requests(costs: dict[str, Cost]) -> None:
    assert costs["with entries, by us"].shell_s <= costs["ipvsadm -Ln"].shell_s / BAR


def test_what_sshd_adds_does_not_change_that(costs: dict[str, Cost]) -> None:
    ours, peers = costs["services, by us"], costs["ipvsadm -Ln"]
    assert ours.shell_s + ours.sshd_s <= (peers.shell_s + peers.sshd_s) / BAR
