"""A plan of VIPs as files: a keepalived.conf for each director, and the topology of a lab."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.hosts import keepalived
from loadgen.lab.topology import file as topology_file
from loadgen.lab.topology.contradictions import contradictions
from loadgen.lab.topology.layout import usual_clients, usual_directors, usual_servers
from loadgen.lab.topology.model import INTERFACE, OUTSIDE, Topology, Vip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FIRST_VIP = f"{OUTSIDE}.101"
FIRST_VIRTUAL_ROUTER_ID = 51
HIGHEST_PRIORITY = 250
WIDEST_STEP = 50
"""Backups whose priorities are so far apart have timers 0.2 s apart: beyond the jitter."""
GARP_MASTER_REFRESH_S = 10
"""A healed partition is heard of within this time, by those that still have the other's MAC."""

SYNC_DAEMONS = f"""\
#!/bin/sh
# Every director is a master here and a backup there, so both daemons run all the time;
# keepalived's lvs_sync_daemon would run one of them, as one VIP has it (ipvsadm(8)).
ipvsadm --start-daemon master --mcast-interface {INTERFACE} --syncid {keepalived.SYNC_ID}
ipvsadm --start-daemon backup --mcast-interface {INTERFACE} --syncid {keepalived.SYNC_ID}
"""

Lists = tuple[tuple[int, ...], ...]


def emit(lists: Lists, hosts: int, folder: Path, *, sync: bool) -> Iterator[Path]:
    """Write the files; the paths of those written.

    Args:
        lists: for each VIP its directors, first choice first.
        hosts: directors.
        folder: to be made; one that holds anything is refused.
        sync: the directors keep their entries alike by IPVS's sync daemon.

    Raises:
        UsageProblem: the folder cannot be made, or is not empty.
    """
    topology = topology_of(lists, hosts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageProblem(f"--emit {folder}: expected a new or empty folder")
        for path, text in files(topology, sync=sync):
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
            if target.suffix == ".sh":
                target.chmod(0o755)
            yield target
    except OSError as error:
        raise UsageProblem(f"--emit {folder}: cannot be written: {error.strerror}") from error


def topology_of(lists: Lists, hosts: int) -> Topology:
    """The lab that the plan describes; of more directors than a lab has, not to be started."""
    directors = usual_directors(hosts)
    names = [director.name for director in directors]
    step = min(WIDEST_STEP, HIGHEST_PRIORITY // hosts)
    first = IPv4Address(FIRST_VIP)
    vips = tuple(
        Vip(
            address=str(first + number),
            virtual_router_id=(FIRST_VIRTUAL_ROUTER_ID + number - 1) % 255 + 1,
            priorities=tuple(
                (names[director], HIGHEST_PRIORITY - step * place)
                for place, director in enumerate(order)
            ),
        )
        for number, order in enumerate(lists)
    )
    return Topology(
        hosts=(*usual_clients(1), *directors, *usual_servers(2, None, "dr")),
        vips=vips,
        garp_master_refresh_s=GARP_MASTER_REFRESH_S,
    )


def files(topology: Topology, *, sync: bool) -> Iterator[tuple[str, str]]:
    """Path below the folder, and text; no topology where a lab cannot have it."""
    for director in topology.directors:
        yield f"{director.name}/keepalived.conf", keepalived.render(topology, director)
        if sync:
            yield f"{director.name}/sync-daemons.sh", SYNC_DAEMONS
    if not _first(contradictions(topology)):
        yield "topology.toml", topology_file.to_toml(topology)


def _first(lines: Iterator[str]) -> Sequence[str]:
    return [line for line, _ in zip(lines, range(1), strict=False)]
