"""The losses of a proof: each director, or set of them, killed in turn, with a window each side.

Before a loss the lab is asked who holds which VIP: anything else than the plan's first choices
makes the run invalid, not the plan wrong.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.capacity.proof.model import Loss
from analyzer.units import NS_PER_S
from loadgen.capacity_proof.meters import table_inside
from loadgen.errors import RunFailed
from loadgen.lab.hosts import ssh
from loadgen.lab.settle import holds_vip
from loadgen.lab.topology.model import INTERFACE
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.capacity.proof.model import Experiment, Window
    from loadgen.capacity_proof.meters import Datagrams
    from loadgen.lab.lab import Lab

WARM_UP_S = 3.5
"""By then it is known how punctual the sender is."""
SETTLE_S = 1.0
"""After a take-over: queues empty, and the repeats of gratuitous ARP are not yet due."""
MOVE_LIMIT_S = 20.0
ASK_LIMIT_S = 15.0
CHECK_EVERY_S = 0.02


class Losses(Background):
    """Kills the directors in turn; done when all losses have been measured.

    Args:
        lab: up, with the plan's topology.
        experiment: to be filled with losses.
        sets: the directors of each loss, from 0.
        window_s: of each window.
        datagrams: the traffic meanwhile.
        note: takes the experiment each time that it grows.
        say: takes a line for each step.
    """

    def __init__(
        self,
        lab: Lab,
        experiment: Experiment,
        *,
        sets: Sequence[tuple[int, ...]],
        window_s: float,
        datagrams: Datagrams,
        note: Callable[[Experiment], None],
        say: Callable[[str], None],
    ) -> None:
        self._lab = lab
        self._experiment = experiment
        self._sets = sets
        self._window_s = window_s
        self._datagrams = datagrams
        self._note = note
        self._say = say
        self._arp = table_inside(lab.client_namespace, "arp")

    async def done(self) -> None:
        """Return after the last window.

        Raises:
            RunFailed: a director did not do as it should, or the traffic stopped.
        """
        assert self._task is not None
        await self._task

    async def _end(self) -> None:
        self._arp.close()

    async def _run(self) -> None:
        await asyncio.sleep(WARM_UP_S)
        for number, down in enumerate(self._sets):
            await self._lose(down)
            if number + 1 < len(self._sets):
                await self._restore(down)

    async def _lose(self, down: tuple[int, ...]) -> None:
        await asyncio.to_thread(self._check_holders)
        loss = Loss(down=down, before=await self._window("all well"))
        self._put(loss)
        who = " and ".join(self._names(down))
        self._say(f"{who}: killed")
        loss = replace(loss, crashed_ns=time.time_ns())
        for name in self._names(down):
            await asyncio.to_thread(self._lab.directors[name].crash)
        await self._until_moved(down)
        await asyncio.sleep(SETTLE_S)
        self._put(replace(loss, after=await self._window(f"{who} down")))

    async def _restore(self, down: tuple[int, ...]) -> None:
        for name in self._names(down):
            self._say(f"{name}: booting")
            await asyncio.to_thread(self._lab.directors[name].boot)
            rate_bps = self._experiment.link.rate_bps
            await asyncio.to_thread(self._lab.directors[name].inward_rate, rate_bps)
        await self._until_moved(())
        await asyncio.sleep(SETTLE_S)

    async def _window(self, what: str) -> Window:
        await self._datagrams.punctual()
        self._say(f"{what}: measured for {self._window_s:g} s")
        began_ns = time.time_ns()
        await asyncio.sleep(self._window_s)
        self._datagrams.check()
        return began_ns, began_ns + int(self._window_s * NS_PER_S)

    async def _until_moved(self, down: tuple[int, ...]) -> None:
        """Until the client reaches each VIP by way of the first living director of its list."""
        deadline_s = time.monotonic() + MOVE_LIMIT_S
        while astray := self._astray(down):
            self._datagrams.check()
            if time.monotonic() > deadline_s:
                raise RunFailed(f"after {MOVE_LIMIT_S:g} s {astray}; this run proves nothing")
            await asyncio.sleep(CHECK_EVERY_S)

    def _astray(self, down: tuple[int, ...]) -> str | None:
        """The first VIP whose frames the client sends elsewhere than planned; or None."""
        known = self._macs()
        for vip, order in zip(self._experiment.vips, self._experiment.lists, strict=True):
            holder = self._names([next(host for host in order if host not in down)])[0]
            if known.get(vip) != self._lab.topology.host(holder).mac:
                return f"{vip} is with {known.get(vip, 'nobody')}, not with {holder}"
        return None

    def _macs(self) -> dict[str, str]:
        """The client's ARP table (columns: proc(5), net/arp)."""
        self._arp.seek(0)
        rows = [line.split() for line in self._arp.read().splitlines()[1:]]
        return {row[0]: row[3] for row in rows}

    def _check_holders(self) -> None:
        """Every VIP is held by the first of its list, and by nobody else."""
        lab = self._lab
        answers = ssh.ask_all(
            lab.director_names,
            f"ip -4 -o addr show dev {INTERFACE}",
            lab.client_namespace,
            lab.ssh_config,
            limit_s=ASK_LIMIT_S,
        )
        for vip, order in zip(self._experiment.vips, self._experiment.lists, strict=True):
            holders = [name for name, answer in answers.items() if holds_vip(answer.stdout, vip)]
            expected = self._names(order[:1])
            if holders != expected:
                who = " and ".join(holders) or "nobody"
                raise RunFailed(
                    f"{vip} is held by {who}, not only by {expected[0]}; this run proves nothing"
                )

    def _names(self, numbers: Sequence[int]) -> list[str]:
        return [self._experiment.directors[number] for number in numbers]

    def _put(self, loss: Loss) -> None:
        """The loss as it now stands, in place of what it was."""
        others = tuple(earlier for earlier in self._experiment.losses if earlier.down != loss.down)
        self._experiment = replace(self._experiment, losses=(*others, loss))
        self._note(self._experiment)
