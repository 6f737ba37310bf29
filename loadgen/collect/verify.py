"""Directors polled for some seconds, and not changed: what ``analyzer.health`` judges."""

from __future__ import annotations

import asyncio
import math
import re
import time
from typing import TYPE_CHECKING

from analyzer.forecast.lifetimes import CONN_TAB_BITS
from analyzer.health import Health, name_of
from analyzer.ipvs.proc.formats import entries_counted, parse_entries
from analyzer.ipvs.versions import why_counters_stand_still
from loadgen.director.connect import connect_directors
from loadgen.director.counters import server_key
from loadgen.director.links.clients import director_client
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.ipvs.proc.formats import Service
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.counters import Counters, ServerKey
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.sites import Site

ASK_S = 15.0
MOST_ENTRIES = 20_000
"""Reading more of them in one go costs a director's CPU too much before Linux 6.14: of a larger
table so many are a sample."""

_MEMORY = "grep ^MemAvailable: /proc/meminfo 2>/dev/null"


async def look_at(
    site: Site, window_s: float, say: Callable[[str], None], left: LeftTimeouts
) -> list[Health]:
    """All directors at once.

    Args:
        site: whose directors.
        window_s: for how long new connections are counted.
        say: takes a line for the operator.
        left: what is done about timeouts that a killed sweep left behind.

    Raises:
        UsageProblem: there is no director, or one cannot be reached or has no IPVS.
        LinkLost: one stopped answering.
    """
    if not site.directors:
        raise UsageProblem("no director to verify: name one with --director")
    clients = [director_client(link) for link in site.directors]
    try:
        facts = await connect_directors(clients, None, say, left, needs_ipvs=True)
        pairs = zip(clients, facts, strict=True)
        return list(
            await asyncio.gather(*(_one(client, known, window_s) for client, known in pairs))
        )
    finally:
        for client in clients:
            await client.close()


async def _one(client: DirectorClient, facts: BootFacts, window_s: float) -> Health:
    first = await _counted(client)
    began_s = time.monotonic()
    await asyncio.sleep(window_s)
    second, passed_s = await _counted(client), time.monotonic() - began_s
    snapshot = await client.poll("services", timeout_s=ASK_S)
    n_entries = entries_counted(snapshot.services.services)
    if n_entries <= MOST_ENTRIES:
        snapshot = await client.poll("entries", timeout_s=ASK_S, expected=n_entries)
        text = snapshot.entries
    else:
        text = await client.first_entries(MOST_ENTRIES, timeout_s=ASK_S)
    status = None
    if facts.table_status is not None:
        status = await client.table_status(timeout_s=ASK_S)
    why_no_rate = why_counters_stand_still(facts.kernel, facts.director_settings.sysctl)
    services = snapshot.services.services
    size = snapshot.services.conn_tab_size
    vips = {service.address for service in services if service.address}
    return Health(
        director=client.link.name,
        link=client.link.spec,
        kernel=facts.kernel,
        hz=facts.timer_phase.hz if facts.timer_phase else None,
        timeouts=facts.timeouts,
        services=services,
        conn_tab_bits=int(math.log2(size)) if size else CONN_TAB_BITS,
        per_s=None if why_no_rate else connections_per_s(services, first, second, passed_s),
        why_no_rate=why_no_rate,
        entries=None if text is None else parse_entries(text).entries,
        sample_of=n_entries if n_entries > MOST_ENTRIES else None,
        memory_available_bytes=await _memory_bytes(client),
        vrrp_state=facts.director_settings.vrrp_state(vips),
        sync_daemon=facts.director_settings.sync_daemon,
        conn_max=facts.conn_max,
        entry_bytes=facts.entry_bytes,
        table_status=status,
    )


async def _counted(client: DirectorClient) -> Mapping[ServerKey, Counters] | None:
    snapshot = await client.poll("services", timeout_s=ASK_S)
    if snapshot.counters is not None:
        return snapshot.counters
    table = await client.counters(timeout_s=ASK_S)
    return None if table is None else table.counters


def connections_per_s(
    services: Sequence[Service],
    first: Mapping[ServerKey, Counters] | None,
    second: Mapping[ServerKey, Counters] | None,
    passed_s: float,
) -> dict[str, float] | None:
    """New connections a second by service; a counter that was zeroed meanwhile counts nothing."""
    if first is None or second is None:
        return None
    rates: dict[str, float] = {}
    for service in services:
        keys = [server_key(service, server) for server in service.destinations]
        new = sum(
            max(second[key].conns - first[key].conns, 0)
            for key in keys
            if key in first and key in second
        )
        rates[name_of(service)] = new / passed_s
    return rates


async def _memory_bytes(client: DirectorClient) -> int | None:
    meminfo = (await client.ask(_MEMORY, timeout_s=ASK_S)).text
    match = re.match(r"MemAvailable: +(\d{1,15}) kB", meminfo)
    return int(match[1]) * 1024 if match else None
