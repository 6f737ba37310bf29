"""One poll of a director: by a sed that stays, by cat, compressed; a real shell reads for each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from loadgen.director.counters import CounterTable
from loadgen.director.links import client as client_module
from loadgen.director.links import snapshot as snapshot_module
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.link import parse_link
from loadgen.director.links.shell import LinkLost
from loadgen.director.links.snapshot import IPVS, netfilter
from tests.unit.loadgen.director.fakes import ENTRIES_HEADER, FIN_WAIT, OTHERS, SERVICES
from tests.unit.waiting import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from loadgen.director.links.snapshot import Snapshot, Source

TABLES = ("ip_vs", "ip_vs_conn", "nf_conntrack", "nf_conntrack_count")
Result = TypeVar("Result")
HERE = parse_link("exec:env")
"""A shell on this machine, as on any director that is reached by a command."""


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files in the place of ``/proc/net``, as this machine's kernel may have no IPVS."""
    (tmp_path / "ip_vs").write_text(SERVICES)
    (tmp_path / "ip_vs_conn").write_text(ENTRIES_HEADER + FIN_WAIT + OTHERS)
    monkeypatch.setattr(snapshot_module, "_ENTRIES", str(tmp_path / "ip_vs_conn"))
    monkeypatch.setattr(client_module, "IPVS", in_place_of_proc(IPVS, tmp_path))
    return tmp_path


def in_place_of_proc(source: Source, folder: Path) -> Source:
    """The same reading of a poll, with the tables in another folder."""

    def moved(files: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            str(folder / Path(file).name) if Path(file).name in TABLES else file for file in files
        )

    return replace(source, services=moved(source.services), entries=moved(source.entries))


def with_client(
    use: Callable[[DirectorClient], Awaitable[Result]], *, has: set[str] | None = None
) -> Result:
    async def main() -> Result:
        client = DirectorClient(HERE)
        try:
            await client.open()
            if has is not None:
                client.programs = frozenset(has)
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(main())


WAYS = {"a sed that stays": ({"sed"}, 0), "cat": (set(), 0), "gzip": ({"gz"}, 10**6)}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> tuple[set[str], int]:
    """What the director has, and how many entries are expected."""
    found: tuple[set[str], int] = request.param
    return found


def test_this_machines_own_sed_and_gzip_are_found() -> None:
    async def use(client: DirectorClient) -> tuple[frozenset[str], str | None]:
        return client.programs, client.boot_id

    has, boot_id = with_client(use)
    assert {"sed", "gz"} <= has
    assert boot_id is not None
    assert len(boot_id) == 36


def test_every_way_shows_the_same(way: tuple[set[str], int]) -> None:
    has, expected = way

    async def use(client: DirectorClient) -> list[Snapshot]:
        snapshots = []
        for what in ("services", "entries", "entries", "services"):
            snapshots.append(await client.poll(what, timeout_s=LIMIT_S, expected=expected))
            await client.ask("echo between two polls", timeout_s=LIMIT_S)
        return snapshots

    began_ns = time.time_ns()
    first, second, third, last = with_client(use, has=has)
    for snapshot in (first, second, third, last):
        assert [service.port for service in snapshot.services.services] == [80, 81]
        assert snapshot.services.warnings == ()
        assert began_ns <= snapshot.asked_ns <= snapshot.answered_ns
        assert snapshot.uptime_s == pytest.approx(
            time.clock_gettime(time.CLOCK_BOOTTIME), abs=LIMIT_S
        )
    assert (first.entries, last.entries) == (None, None)
    assert second.entries == third.entries == ENTRIES_HEADER + FIN_WAIT + OTHERS
    assert (first.cpu_s, last.cpu_s) == (None, None)


def test_every_way_tells_what_the_read_cost(way: tuple[set[str], int], tables: Path) -> None:
    has, expected = way
    (tables / "ip_vs_conn").write_text(ENTRIES_HEADER + FIN_WAIT * 300_000)

    async def use(client: DirectorClient) -> Snapshot:
        return await client.poll("entries", timeout_s=LIMIT_S, expected=expected)

    snapshot = with_client(use, has=has)
    assert snapshot.entries is not None
    assert snapshot.entries.count("\n") == 300_001
    assert snapshot.cpu_s is not None
    assert 0 < snapshot.cpu_s < 20


TRACKED = (
    "ipv4     2 tcp      6 9 TIME_WAIT src=10.0.0.1 dst=10.1.0.2 sport=40000 dport=80 "
    "src=10.2.0.1 dst=10.0.0.1 sport=80 dport=40000 [ASSURED] mark=0 zone=0 use=2\n"
)


def tracking(folder: Path, way_to_read: str = "file") -> Source:
    """A netfilter director whose table has one connection."""
    (folder / "nf_conntrack").write_text(TRACKED)
    (folder / "nf_conntrack_count").write_text("3\n")
    source = in_place_of_proc(netfilter(way_to_read), folder)
    if source.command is None:
        return source
    return replace(source, command=f"cat {folder / 'nf_conntrack'}")


@pytest.mark.parametrize("way_to_read", ["file", "conntrack", "sudo-file"])
def test_tracked_connections_are_read_in_every_way(
    way: tuple[set[str], int], way_to_read: str, tables: Path
) -> None:
    has, expected = way

    async def use(client: DirectorClient) -> list[Snapshot]:
        client.source = tracking(tables, way_to_read)
        first = await client.poll("services", timeout_s=LIMIT_S, expected=expected)
        second = await client.poll("entries", timeout_s=LIMIT_S, expected=expected)
        (tables / "nf_conntrack").write_text("")
        return [first, second, await client.poll("entries", timeout_s=LIMIT_S, expected=expected)]

    services, entries, empty = with_client(use, has=has)
    assert [snapshot.counted for snapshot in (services, entries, empty)] == [3, 3, 3]
    assert (services.entries, entries.entries, empty.entries) == (None, TRACKED, "")
    assert entries.services.services == ()


def test_a_director_that_tracks_no_more_gives_no_table(
    way: tuple[set[str], int], tables: Path
) -> None:
    has, expected = way

    async def use(client: DirectorClient) -> Snapshot:
        client.source = tracking(tables)
        (tables / "nf_conntrack").unlink()
        (tables / "nf_conntrack_count").unlink()
        return await client.poll("entries", timeout_s=LIMIT_S, expected=expected)

    assert with_client(use, has=has).entries is None


def test_a_netfilter_director_is_asked_nothing_of_ipvsadm() -> None:
    async def use(client: DirectorClient) -> tuple[object, object]:
        client.source = netfilter("file")
        return await client.counters(timeout_s=LIMIT_S), await client.timeouts(timeout_s=LIMIT_S)

    assert with_client(use) == (None, None)


def test_a_sed_starts_once_and_the_shell_is_there_again_when_it_is_wanted() -> None:
    async def use(client: DirectorClient) -> tuple[str, str, str]:
        shell = (await client.ask("x=7; echo $$", timeout_s=LIMIT_S)).text
        for _ in range(20):
            await client.poll("services", timeout_s=LIMIT_S)
        children = (await client.ask("echo $x $$", timeout_s=LIMIT_S)).text
        await client.poll("entries", timeout_s=LIMIT_S)
        return shell, children, (await client.ask("echo $x $$", timeout_s=LIMIT_S)).text

    shell, once, again = with_client(use)
    assert once == again == f"7 {shell}"


def test_a_table_that_cannot_be_read_is_distinguished_from_one_that_is_empty(
    way: tuple[set[str], int], tables: Path
) -> None:
    has, expected = way

    async def use(client: DirectorClient) -> str | None:
        return (await client.poll("entries", timeout_s=LIMIT_S, expected=expected)).entries

    (tables / "ip_vs_conn").write_text(ENTRIES_HEADER)
    assert with_client(use, has=has) == ENTRIES_HEADER
    (tables / "ip_vs_conn").unlink()
    assert with_client(use, has=has) is None


def test_a_sed_that_holds_its_answers_back_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "sed_program", lambda mark, source: "cat >/dev/null")

    async def use(client: DirectorClient) -> Snapshot:
        with pytest.raises(LinkLost):
            await client.poll("services", timeout_s=0.3)
        await client.open()
        return await client.poll("services", timeout_s=LIMIT_S)

    assert len(with_client(use).services.services) == 2


def test_a_bomb_is_unpacked_only_so_far(monkeypatch: pytest.MonkeyPatch, tables: Path) -> None:
    monkeypatch.setattr(snapshot_module, "MOST_ENTRIES_BYTES", 100_000)
    (tables / "ip_vs_conn").write_text(ENTRIES_HEADER + FIN_WAIT * 100_000)

    async def use(client: DirectorClient) -> Snapshot:
        return await client.poll("entries", timeout_s=LIMIT_S, expected=10**6)

    snapshot = with_client(use, has={"gz"})
    assert snapshot.entries is not None
    assert len(snapshot.entries) < 100_000


def test_counters_are_none_where_there_is_no_ipvsadm_that_answers() -> None:
    async def use(client: DirectorClient) -> object:
        await client.ask("ipvsadm() { return 1; }; sudo() { return 1; }", timeout_s=LIMIT_S)
        return await client.counters(timeout_s=LIMIT_S)

    assert with_client(use) is None


def test_counters_are_the_directors_own_ipvsadms() -> None:
    stats = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
        "  -> RemoteAddress:Port\n"
        "TCP  192.168.10.2:80                     8       44        0     2867        0\n"
        "  -> 192.168.10.21:80                    4       20        0     1291        0\n"
        "FWM  258                                 1        2        3        4        5\n"
        "  -> 192.168.10.21:0                     1        2        3        4        5\n"
    )

    async def use(client: DirectorClient) -> object:
        await client.ask(f"ipvsadm() {{ printf '%s' '{stats}'; }}", timeout_s=LIMIT_S)
        await client.poll("services", timeout_s=LIMIT_S)  # the sed is on, and is left for it
        return await client.counters(timeout_s=LIMIT_S)

    table = with_client(use)
    assert isinstance(table, CounterTable)
    assert table.counters == {
        ("TCP", "192.168.10.2", 80, None, "192.168.10.21", 80): (4, 20, 0, 1291, 0),
        ("FWM", None, None, 258, "192.168.10.21", 0): (1, 2, 3, 4, 5),
    }


@pytest.mark.parametrize("there", [True, False])
def test_the_tables_status_is_read_where_it_is(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ip_vs_status"
    if there:
        path.write_text("Conns:\t3\nConn buckets:\t256 (8 bits, lfactor -4)\n")
    script = client_module.ASK_TABLE_STATUS.replace("/proc/net/ip_vs_status", str(path))
    monkeypatch.setattr(client_module, "ASK_TABLE_STATUS", script)
    found = with_client(lambda client: client.table_status(timeout_s=LIMIT_S))
    assert (found.entries if found else None) == (3 if there else None)


def test_the_head_of_a_large_table_is_read_and_no_more(tables: Path) -> None:
    (tables / "ip_vs_conn").write_text(ENTRIES_HEADER + FIN_WAIT * 50)

    async def use(client: DirectorClient) -> list[str | None]:
        await client.poll("services", timeout_s=LIMIT_S)
        return [await client.first_entries(count, timeout_s=LIMIT_S) for count in (3, 100)]

    assert with_client(use) == [ENTRIES_HEADER + FIN_WAIT * 3, ENTRIES_HEADER + FIN_WAIT * 50]


def test_a_table_that_is_not_given_has_no_head(tables: Path) -> None:
    (tables / "ip_vs_conn").unlink()
    assert with_client(lambda client: client.first_entries(3, timeout_s=LIMIT_S)) is None
