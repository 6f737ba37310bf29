"""A burst that the workers of a real Dask cluster send, on the loopback, with TLS."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.cluster.address import ClusterAddress
from loadgen.cluster.burst import ClusterBurst
from loadgen.cluster.crew import ClusterOptions, assembled
from loadgen.cluster.director_client import director_client_of
from loadgen.cluster.worker import remote
from loadgen.director.connect import connect_directors
from loadgen.director.links.link import parse_link
from loadgen.director.polling.poller import Poller
from loadgen.errors import UsageProblem
from loadgen.load.plan import ClosedModel, LoadPlan
from tests.unit.loadgen.director.polling.builders_polls import take_time
from tests.unit.loadgen.load.engines.conduct import plan
from tests.unit.loadgen.servers import OK, Server
from tests.unit.loadgen.stand_in_director import director_of
from tests.unit.waiting import LIMIT_S, until, wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from loadgen.cluster.crew import Crew

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and their directors have all the time that a busy machine takes to answer."""
    for name in (
        *("crew.TRIP_S", "burst.SILENT_S"),
        *("connection.CONNECT_S", "director_client.WAY_S", "director_client.CLOSE_S"),
    ):
        monkeypatch.setattr(f"loadgen.cluster.{name}", LIMIT_S)
    take_time(monkeypatch)


@contextmanager
def started(workers: int) -> Iterator[Any]:
    """A cluster of processes, whose keys Dask's configuration holds meanwhile."""
    import dask

    security = distributed.Security.temporary()
    files = {
        "ca-file": security.tls_ca_file,
        **{
            f"{role}.{kind}": getattr(security, f"tls_{role}_{kind}")
            for role in ("client", "worker", "scheduler")
            for kind in ("cert", "key")
        },
    }
    names = {f"distributed.comm.tls.{name}": text for name, text in files.items()}
    opening = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=0,
        protocol="tls://",
        security=security,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        worker_dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    with dask.config.set(names), opening as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with started(2) as made:
        yield made


@pytest.fixture
def scheduler(cluster: Any) -> str:
    """Its address, when both workers are there: one that was killed comes back."""
    assert wait_until(lambda: len(cluster.scheduler.workers) == 2)
    return str(cluster.scheduler_address)


@pytest.fixture
def director(tmp_path: Path) -> str:
    """A link to a director with a service at port 80."""
    return director_of(tmp_path, 80)


@dataclass
class Burst:
    """A burst that is on, or over."""

    burst: ClusterBurst
    crew: Crew
    recording: Recording
    said: list[str]

    @property
    def manifest(self) -> list[dict[str, Any]]:
        workers: list[dict[str, Any]] = self.recording.manifest.raw["workers"]
        return workers


async def nothing(_: Burst, __: Server) -> None:
    """Let the burst go on."""


def sent(
    scheduler: str,
    path: Path,
    load: Callable[[int], LoadPlan],
    meanwhile: Callable[[Burst, Server], Awaitable[None]] = nothing,
    afterwards: Callable[[Burst, Server], Awaitable[None]] = nothing,
    server: Server | None = None,
    **options: Any,
) -> tuple[Burst, Server]:
    """A burst at a server of ours, to its end."""
    server = server or Server(OK)

    async def main() -> Burst:
        async with server.running():
            wanted = ClusterOptions(address=ClusterAddress(scheduler=scheduler), **options)
            load_plan, said = load(server.port), list[str]()
            async with assembled(load_plan, wanted, said.append) as crew:
                writer = RecordingWriter(path, {"not_measured": []})
                burst = ClusterBurst(
                    load_plan, writer, lambda _: None, said.append, crew=crew, captures=None
                )
                burst.followers.append(lambda rows: seen.append(len(rows)))
                on = Burst(burst, crew, Recording.open(path), said)
                async with burst:
                    await meanwhile(on, server)
                    await burst.done()
                    await afterwards(on, server)
            writer.close("completed")
            return replace_recording(on, path)

    seen: list[int] = []
    burst = asyncio.run(main())
    rows = burst.recording.table("requests")
    assert rows["id"].is_unique
    if all(row["why"] is None for row in burst.manifest):
        assert sum(seen) == len(rows)
    return burst, server


def replace_recording(burst: Burst, path: Path) -> Burst:
    burst.recording = Recording.open(path)
    return burst


def closed(port: int) -> LoadPlan:
    return replace(plan(port, engine="sockets"), arrivals=ClosedModel(requests=101, concurrency=6))


def long(port: int) -> LoadPlan:
    return replace(plan(port, engine="sockets"), arrivals=ClosedModel(requests=300, concurrency=6))


@dataclass
class Holding(Server):
    """It answers sixty requests, and the others when it is to go on or their client has gone."""

    at_first: int = 60
    goes_on: bool = False

    @property
    def holds(self) -> bool:
        """Whether somebody waits for an answer."""
        return len(self.requests) > self.at_first

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.holds:
            await until(lambda: self.goes_on or reader.at_eof() or reader.exception())
        await super()._answer(reader, writer)


def test_the_workers_rows_add_up_to_the_plan_and_begin_at_one_instant(
    scheduler: str, tmp_path: Path
) -> None:
    burst, server = sent(scheduler, tmp_path / "run", closed)

    rows = burst.recording.table("requests")
    assert sorted(rows["id"]) == list(range(101))
    assert rows["error"].isna().all()
    assert set(zip(rows["source_ip"], rows["source_port"], strict=True)) == set(server.peers)
    assert rows.groupby("host")["id"].count().to_dict() == {"worker-0": 51, "worker-1": 50}
    assert [(row["name"], row["planned"], row["sent"], row["lost"]) for row in burst.manifest] == [
        ("worker-0", 51, 51, 0),
        ("worker-1", 50, 50, 0),
    ]
    assert rows.groupby("host")["scheduled"].min().nunique() == 1
    assert [row["clock_offset_s"] for row in burst.manifest] == [0, 0]
    assert [row["share"] for row in burst.manifest] == [0.5, 0.5]
    assert burst.burst.tally.ended == 101
    assert len(burst.burst.sources) == 101
    assert len(burst.burst.manifest()["cpu_s"]) == 2
    events = burst.recording.table("events")
    assert events["kind"].tolist() == ["burst-start", "burst-end"]


def test_connections_that_the_plan_leaves_open_stay_open_until_the_run_ends(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.cluster.burst.KEEP_EVERY_S", 0.05)
    closed_early: list[int] = []

    async def watch(on: Burst, server: Server) -> None:
        heard = [worker.heard_ns for worker in on.burst.workers]
        await until(
            lambda: all(
                worker.heard_ns > before
                for worker, before in zip(on.burst.workers, heard, strict=True)
            )
        )
        closed_early.append(server.closed_by_client)

    def never(port: int) -> LoadPlan:
        return replace(
            plan(port, engine="sockets", close="never"),
            arrivals=ClosedModel(requests=10, concurrency=10),
        )

    burst, _ = sent(scheduler, tmp_path / "run", never, afterwards=watch)

    assert closed_early == [0]
    assert len(burst.burst.sources) == 10
    assert sorted(burst.recording.table("requests")["id"]) == list(range(10))


def test_workers_that_see_the_runs_directory_record_there(scheduler: str, tmp_path: Path) -> None:
    burst, _ = sent(scheduler, tmp_path / "run", closed, shared=True)

    assert len(burst.recording.table("requests")) == 101
    assert all(
        worker.folder.startswith(str(tmp_path / "run" / "loadgen-"))
        for worker in burst.burst.workers
    )
    assert not list((tmp_path / "run").glob("loadgen-*"))


def test_a_part_that_is_not_on_this_hosts_disk_is_fetched_from_its_worker(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.cluster.gather.Gathering._is_here", lambda *_: False)

    burst, _ = sent(scheduler, tmp_path / "run", closed)

    assert sorted(burst.recording.table("requests")["id"]) == list(range(101))
    assert [row["sent"] for row in burst.manifest] == [51, 50]


def test_a_clock_an_hour_off_is_refused_by_name(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loadgen.cluster.connection import Cluster

    ask = Cluster.run

    async def hour_off(self: Cluster, address: str, function: Any, *args: Any, **more: Any) -> Any:
        answer = await ask(self, address, function, *args, **more)
        is_second = address == (await self.workers())[1].address
        return answer + 3600 * 10**9 if isinstance(answer, int) and is_second else answer

    monkeypatch.setattr(Cluster, "run", hour_off)

    with pytest.raises(UsageProblem, match="the clock of worker-1 is 3600 s"):
        sent(scheduler, tmp_path / "run", closed)
    assert not (tmp_path / "run").exists()


def test_a_worker_of_another_version_is_refused_by_name(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.__version__", "99.0")

    with pytest.raises(UsageProblem, match=r"worker-0 has another version .*expected loadgen 99"):
        sent(scheduler, tmp_path / "run", closed)


def test_an_address_that_no_worker_has_is_refused(scheduler: str, tmp_path: Path) -> None:
    def elsewhere(port: int) -> LoadPlan:
        return replace(closed(port), sources=("192.0.2.77",))

    with pytest.raises(UsageProblem, match=r"no worker of --cluster has the address 192\.0\.2\.77"):
        sent(scheduler, tmp_path / "run", elsewhere)


def test_each_worker_sends_from_its_own_addresses(scheduler: str, tmp_path: Path) -> None:
    pool = ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14")

    burst, _ = sent(scheduler, tmp_path / "run", lambda port: replace(closed(port), sources=pool))

    rows = burst.recording.table("requests")
    by_host = rows.groupby("host")["source_ip"].unique().map(sorted).to_dict()
    assert by_host == {row["name"]: sorted(row["sources"]) for row in burst.manifest}
    assert sorted(address for each in by_host.values() for address in each) == list(pool)
    assert rows["source_ip"].value_counts().between(24, 27).all()


def test_the_run_goes_on_without_a_worker_that_died_and_nothing_is_sent_twice(
    scheduler: str, tmp_path: Path
) -> None:
    holding = Holding()

    async def kill_one(on: Burst, _: Server) -> None:
        process = await on.crew.cluster.run(on.crew.members[1].worker.address, os.getpid)
        recorded = Path(on.burst.workers[1].folder, "requests")
        assert await until(lambda: holding.holds and list(recorded.glob("part-*.parquet")))
        os.kill(process, signal.SIGKILL)
        holding.goes_on = True

    burst, server = sent(scheduler, tmp_path / "run", long, kill_one, server=holding)

    kept, lost = burst.manifest
    assert (kept["planned"], kept["sent"], kept["lost"], kept["why"]) == (150, 150, 0, None)
    assert lost["why"] == "died"
    assert lost["planned"] == 150
    assert lost["sent"] + lost["lost"] == 150
    assert 0 < lost["lost"] < 150
    assert burst.recording.manifest.started_at_ns is None or lost["lost_at_ns"] > 0
    rows = burst.recording.table("requests")
    assert len(rows) == 150 + lost["sent"]
    assert len(rows) <= len(server.peers) < 300
    kinds = burst.recording.table("events")["kind"].tolist()
    assert kinds == ["burst-start", "worker-lost", "burst-end"]
    (line,) = [line for line in burst.said if line.startswith("worker ")]
    assert "of 150 requests, 50% of the load; the run goes on without it" in line


def test_a_director_is_polled_by_its_worker(scheduler: str, tmp_path: Path, director: str) -> None:
    link = parse_link(f"lb1=worker:worker-1,{director}")
    said: list[str] = []

    async def main() -> None:
        options = ClusterOptions(address=ClusterAddress(scheduler=scheduler))
        async with assembled(closed(1), options, said.append, [link]) as crew:
            client = director_client_of(link, crew)
            (facts,) = await connect_directors([client], None, said.append)
            assert [each.port for each in facts.services.services] == [80]
            writer = RecordingWriter(tmp_path / "run", {"not_measured": []})
            worker = crew.workers[1].worker.address
            assert await crew.cluster.run(worker, open_links) == ["lb1"]
            async with Poller(client, writer, facts=facts) as poller:
                first_ns = poller.polled_ns
                assert await until(lambda: poller.polled_ns != first_ns)
            writer.close("completed")
            assert client.manifest()["worker"]["name"] == "worker-1"
            assert await crew.cluster.run(worker, open_links) == []

    asyncio.run(main())

    assert said[-1] == "polled by workers: lb1 by worker-1"
    recording = Recording.open(tmp_path / "run")
    assert recording.table("events").empty
    assert recording.table("polls")["director"].unique().tolist() == ["lb1"]
    assert recording.table("services")["inactive"].unique().tolist() == [7]


def open_links() -> list[str]:
    """The directors that a worker, which calls this, has a link to."""
    from loadgen.cluster.worker import links

    return [link.name for _, link in links.held_links]


@pytest.mark.usefixtures("scheduler")
def test_a_scheduler_that_is_not_there_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.cluster.connection.CONNECT_S", 1.0)

    with pytest.raises(UsageProblem, match="no scheduler of Dask answers there"):
        sent("tls://127.0.0.1:9", tmp_path / "run", closed)


def test_tls_without_keys_is_one_clear_line(scheduler: str, tmp_path: Path) -> None:
    import dask

    keys = [f"distributed.comm.tls.{name}" for name in ("ca-file", "client.cert", "client.key")]
    with (
        dask.config.set(dict.fromkeys(keys)),
        pytest.raises(UsageProblem, match=r"expected TLS files that can be read"),
    ):
        sent(scheduler, tmp_path / "run", closed)


def test_a_lost_scheduler_ends_the_load_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    monkeypatch.setattr("loadgen.cluster.burst.ASK_S", 2.0)
    hurried = ("burst.SILENT_S", "connection.CONNECT_S", "connection.ANSWER_S")
    patience = {"distributed.comm.timeouts.connect": "5s"}  # of a cluster that closes without it
    with ExitStack() as afterwards, started(1) as cluster:
        holding = Holding()

        async def close(_: Burst, __: Server) -> None:
            assert await until(lambda: holding.holds)
            for name in hurried:
                monkeypatch.setattr(f"loadgen.cluster.{name}", 2.0)
            afterwards.enter_context(dask.config.set(patience))
            await asyncio.to_thread(cluster.sync, cluster.scheduler.close)

        address = cluster.scheduler_address
        burst, server = sent(address, tmp_path / "run", long, close, server=holding)

    (row,) = burst.manifest
    assert row["why"] == "scheduler"
    assert row["sent"] + row["lost"] == 300
    assert row["lost"] > 0
    assert len(burst.recording.table("requests")) == row["sent"]
    assert row["sent"] <= len(server.peers) <= row["sent"] + 2


def test_a_part_of_no_run_of_ours_has_no_files(tmp_path: Path) -> None:
    assert remote.part_files(str(tmp_path / "nowhere")) is None
