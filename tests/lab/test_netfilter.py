"""A director that translates by nftables: its tracked connections are polled as IPVS entries are.

Where this machine's kernel takes no rules of nftables, iptables translates; the tracking is one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.conntrack.proc import STATE_NAMES, read_conntrack, translated
from analyzer.ipvs.proc.entry_rows import entries_of
from analyzer.recording.directory import Recording
from analyzer.units import NS_PER_S
from loadgen.director.boot_facts import learn_boot_facts
from loadgen.director.links.clients import director_client
from loadgen.director.links.link import parse_link
from loadgen.director.links.snapshot import netfilter
from loadgen.errors import LoadgenError
from loadgen.lab.lab import Lab
from loadgen.lab.topology.layout import HostCounts, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.director.links.link import Link

VIP, DIRECTOR = "192.168.10.2", "bal01"
REQUESTS = 20
TIME_WAIT_S = 4
CLOCK_S = 0.1
"""Of a request's end at the client, and of a poll's instant."""
P = "net.netfilter.nf_conntrack_tcp_timeout_"


@pytest.fixture(scope="module")
def tracking_lab() -> Iterator[Lab]:
    """A lab of one such director."""
    why: LoadgenError | None = None
    for kind in ("nftables", "iptables"):
        sysctls = ((f"{P}time_wait", str(TIME_WAIT_S)), (f"{P}fin_wait", str(TIME_WAIT_S)))
        topology = lay_out(
            HostCounts(directors=1),
            director_kind=kind,
            forwarding="nat",
            vip_by="static",
            sysctls=sysctls,
        )
        try:
            lab = Lab(topology).up()
        except LoadgenError as error:
            why = why or error
            continue
        with lab:
            yield lab
        return
    assert why is not None
    if os.environ.get("CI"):
        raise why
    pytest.skip(f"no lab: {why}")


@pytest.fixture(scope="module")
def recording(tracking_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Of a burst through it."""
    directory = tmp_path_factory.mktemp("netfilter") / "run"
    words = ["--lab", tracking_lab.name, "--vip", VIP, "-n", str(REQUESTS), "-o", str(directory)]
    done = subprocess.run(
        [Path(sys.executable).parent / "loadgen", "burst", *words],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return Recording.open(directory)


def test_run_json_says_what_keeps_the_connections_and_by_which_timeouts(
    recording: Recording,
) -> None:
    manifest = json.loads((recording.path / "run.json").read_text())
    director = manifest["directors"][DIRECTOR]
    assert director["kind"] == "netfilter"
    assert director["sysctl"]["nf_conntrack_tcp_timeout_time_wait"] == TIME_WAIT_S
    assert director["sysctl"]["nf_conntrack_tcp_timeout_close"] == 10
    assert director["timeouts"] is None


def test_every_connection_is_an_entry_that_ends_in_time_wait_after_its_timeout(
    recording: Recording,
) -> None:
    entries, requests = recording.table("entries"), recording.table("requests")
    assert requests["error"].isna().all()
    assert set(entries["state"]) <= STATE_NAMES
    gone = entries[entries["change"] == "gone"].set_index("client_port")
    assert sorted(gone.index) == sorted(requests["source_port"])
    assert len(gone) == REQUESTS
    assert set(gone["state"]) == {"TIME_WAIT"}
    assert set(gone["real_server"]) == {"192.168.20.21", "192.168.20.22"}
    waits = entries[entries["state"] == "TIME_WAIT"]
    assert waits["expires_s"].between(0, TIME_WAIT_S).all()
    closed = requests.set_index("source_port")["closed"]
    lived_ns = (gone["at"] - closed).astype("int64")
    assert (lived_ns >= (TIME_WAIT_S - CLOCK_S) * NS_PER_S).all()


def test_the_real_servers_take_turns_and_their_entries_are_counted_until_none_is_left(
    recording: Recording,
) -> None:
    services = recording.table("services").sort_values("at")
    for _, rows in services.groupby("real_server"):
        assert rows["inactive"].max() == REQUESTS // 2
        assert rows["inactive"].iloc[-1] == rows["active"].iloc[-1] == 0


@pytest.fixture
def one_open_connection(tracking_lab: Lab) -> Iterator[None]:
    """From the client, for as long as a test asks for it."""
    script = f"exec 3<>/dev/tcp/{VIP}/80; echo open; read -r _"
    with subprocess.Popen(
        tracking_lab.command("client", ["bash", "-c", script]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as opened:
        assert opened.stdout is not None
        assert opened.stdout.readline() == "open\n"
        yield
        opened.terminate()


@pytest.mark.usefixtures("recording", "one_open_connection")
def test_every_link_and_every_way_shows_the_same_connection(tracking_lab: Lab) -> None:
    prefixes = [tracking_lab.command(DIRECTOR, ["sh"])[:-1]]  # by ssh
    if not tracking_lab.topology.has_own_kernel(tracking_lab.topology.host(DIRECTOR)):
        prefixes.append(["ip", "netns", "exec", tracking_lab.namespace_of(DIRECTOR)])
    links = [parse_link(f"netfilter+exec:{' '.join(prefix)}") for prefix in prefixes]
    seen = [asyncio.run(connections(link, way)) for link in links for way in ("file", "conntrack")]
    assert seen == [[("TCP", VIP, 80, "ESTABLISHED")]] * len(seen)


async def connections(link: Link, way: str) -> list[tuple[str, str, int, str]]:
    """Protocol, VIP, port and state of what a director shows as translated over a link."""
    client = director_client(link)
    try:
        await client.open()
        facts = await learn_boot_facts(client, None)
        assert facts.kind == "netfilter"
        client.source = netfilter(way)
        snapshot = await client.poll("entries", timeout_s=20)
        assert snapshot.entries is not None
        rows = read_conntrack(snapshot.entries).rows
        return [
            (entry.protocol, entry.vip, entry.port, entry.state)
            for entry in entries_of(rows[translated(rows)])
        ]
    finally:
        await client.close()
