"""Every link to one director, asked the same: run inside a guest whose kernel has IPVS."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import time
import uuid
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.proc.formats import parse_timeouts
from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.cluster.clocks import WorkerOffset
from loadgen.cluster.connection import ConnectedWorker
from loadgen.cluster.director_client import WorkerDirectorClient
from loadgen.director.boot_facts import learn_boot_facts, manifest_of
from loadgen.director.links.clients import director_client
from loadgen.director.links.link import Link, lab_link, parse_link
from loadgen.director.links.shell import LinkLost
from loadgen.director.polling.poller import Poller
from loadgen.director.timeouts.change import TimeoutsChange
from loadgen.director.timeouts.present import identity_of
from loadgen.lab.lab import Lab
from loadgen.lab.system.netns import enter
from loadgen.lab.topology.layout import lay_out
from loadgen.lab.topology.model import namespace

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.cluster.connection import Cluster
    from loadgen.director.links.client import DirectorClient
    from loadgen.lab.hosts.hosts import LabMachine

TIMEOUTS = ("900", "177", "300")
TCPFIN_S = 33
POLLS, POLLS_S = 5, 20
"""So many polls are awaited for so long: a busy guest is slow to start a process."""

QUIET_S, QUIET_TRIES = 1.0, 20

ONE_ARGUMENT = '#!/bin/sh\n[ "$1" = -c ] && [ $# = 2 ] && exec sh -c "$2"\nexit 64\n'
"""As ``vagrant ssh HOST -c``: the command is one argument."""
LINKS = ("local", "ssh", "exec", "exec of one argument", "worker")


def links_to(lab: Lab, name: str, scratch: Path) -> dict[str, Link]:
    """The director, by every link there is; we stand in its namespace."""
    wrapper = scratch / "one-argument"
    wrapper.write_text(ONE_ARGUMENT)
    wrapper.chmod(0o755)
    within = f"ip netns exec {namespace(lab.name, name)}"
    by_ssh = lab_link(name, lab.topology.host(name).address, lab.ssh_config)
    client = ("ip", "netns", "exec", lab.client_namespace)
    return {
        "local": parse_link("local"),
        "ssh": replace(by_ssh, argv=(*client, *by_ssh.argv)),
        "exec": parse_link(f"exec:{within}"),
        "exec of one argument": parse_link(f"exec:{within} {wrapper} -c"),
        "worker": parse_link("worker:w"),
    }


class OneWorker:
    """A cluster whose one worker is this process; what it is asked and answers is pickled."""

    worker = ConnectedWorker(name="w", address="w", host="w")

    async def workers(self) -> list[ConnectedWorker]:
        return [self.worker]

    async def run(self, _address: str, function: Any, *args: Any, limit_s: float) -> Any:
        asking = function(*pickle.loads(pickle.dumps(args)))
        return pickle.loads(pickle.dumps(await asyncio.wait_for(asking, limit_s)))


def client_of(link: Link) -> DirectorClient:
    """The client for a link, also for one that begins at a worker."""
    if link.worker is None:
        return director_client(link)
    return WorkerDirectorClient(
        link,
        cluster=cast("Cluster", OneWorker()),
        run=uuid.uuid4().hex,
        worker=OneWorker.worker,
        offset=WorkerOffset(offset_ns=0, uncertainty_ns=0),
    )


async def ask(link: Link) -> dict[str, Any]:
    """Every question there is."""
    client = client_of(link)
    await client.open()
    try:
        facts = await learn_boot_facts(client, None)
        services = await client.poll("services", timeout_s=10)
        entries = await client.poll("entries", timeout_s=10)
        table = await client.counters(timeout_s=10)
        counters = services.counters or (table.counters if table else None)
        again = await client.poll("services", timeout_s=10)
        document = manifest_of(facts, "") | {
            "boot_id": client.boot_id,
            "services": [asdict(service) for service in services.services.services],
            "entries": sorted(map(list, _rows(entries.entries))),
            "counters": sorted([str(key[4]), *n] for key, n in (counters or {}).items()),
            "ticks": again.uptime_s >= services.uptime_s > 0,
            "in_order": services.asked_ns <= services.answered_ns <= again.asked_ns,
            "cost_known": entries.cpu_s is not None,
        }
        return document | {"reopened": await _lose_and_reopen(client)}
    finally:
        await client.close()


def _rows(text: str | None) -> list[tuple[Any, ...]]:
    rows = read_entries(text or "").rows
    return [(row["state"].decode(), int(row["client_port"]), int(row["port"])) for row in rows]


async def _lose_and_reopen(client: DirectorClient) -> bool:
    try:
        await client.ask("kill -9 $$", timeout_s=5)
    except LinkLost:
        await client.open()
        return bool((await client.poll("services", timeout_s=10)).services.services)
    return False


async def record(link: Link, directory: Path) -> dict[str, Any]:
    """A few polls, and what they left."""
    client = client_of(link)
    await client.open()
    recording = RecordingWriter(directory, {})
    async with Poller(client, recording) as poller:
        polled = {poller.polled_ns}
        for _ in range(POLLS_S * 10):
            await asyncio.sleep(0.1)
            polled.add(poller.polled_ns)
            if len(polled) >= POLLS:
                break
    recording.close("completed")
    read = Recording.open(directory)
    polls, services = read.table("polls"), read.table("services")
    return {
        "polls": len(polls),
        "entries": read.table("entries")["change"].value_counts().to_dict(),
        "rows_of_a_poll": sorted(services.groupby("at").size().unique().tolist()),
        "conns": sorted({int(conns) for conns in services["conns"].dropna()}),
        "uncertainty_ms": float(polls["uncertainty_ms"].iloc[-1]),
        "lost": read.table("events")["kind"].tolist(),
    }


async def change(link: Link) -> dict[str, Any]:
    """Timeouts set for a while; ipvsadm reports what is in force, whatever set it."""
    client = client_of(link)
    said: list[str] = []
    await client.open()
    identity = await identity_of(client)
    await client.close()
    async with TimeoutsChange([client_of(link)], said.append) as changing:
        await changing.set_tcpfin(TCPFIN_S)
        within = in_force()
    document = {"identity": identity, "within": within, "after": in_force()}
    return document | {"said": said, "owing": changing.not_restored}


def in_force() -> list[float]:
    """In the namespace that we stand in."""
    command = ("ipvsadm", "-L", "--timeout")
    found = parse_timeouts(subprocess.run(command, capture_output=True, text=True).stdout)
    return [found.tcp_s, found.tcpfin_s, found.udp_s] if found else []


def await_quiet(director: LabMachine) -> None:
    """Until its counters stay: a packet of the lab's own tries may still be on its way."""
    counted = None
    for _ in range(QUIET_TRIES):
        before, counted = counted, director.output("ipvsadm", "-Ln", "--stats")
        if counted == before:
            return
        time.sleep(QUIET_S)


def ask_all(scratch: Path) -> dict[str, Any]:
    """What every link to the same director says."""
    with Lab(lay_out(vip_by="static"), name="q") as lab:
        name = next(iter(lab.directors))
        director = lab.directors[name]
        director.run("ipvsadm", "--set", *TIMEOUTS)
        await_quiet(director)
        director.run("ipvsadm", "--zero")  # the lab has tried its own VIP, perhaps more than once
        lab.client.run("sh", "-c", "for i in 1 2 3 4; do curl -s -m 5 192.168.10.2; done")
        links = links_to(lab, name, scratch)
        enter(namespace(lab.name, name))
        return {
            kind: _asked(link, scratch / str(number))
            for number, (kind, link) in enumerate(links.items())
        }


def _asked(link: Link, directory: Path) -> dict[str, Any]:
    try:
        document = asyncio.run(ask(link)) | {"recorded": asyncio.run(record(link, directory))}
        return document | {"changed": asyncio.run(change(link))}
    except Exception as error:  # one link's failure is that link's test's
        return {"failed": f"{type(error).__name__}: {error}"}
