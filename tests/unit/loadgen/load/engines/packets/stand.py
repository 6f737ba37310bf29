"""A real nginx in a namespace of its own, and a client's namespace in front of it.

The wire between them may lose frames: then a switch of ours stands in it that drops some at random.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from loadgen.load.engines.packets import send
from loadgen.load.engines.workers.share import parts
from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, Closing, LoadPlan, Request
from loadgen.target import Target
from tests.unit.loadgen.load.engines.conduct import Kept
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SERVER_IP, HOST_IP = "10.99.0.1", "10.99.0.2"
SERVER_IP6, HOST_IP6 = "fd99::1", "fd99::2"
NOBODY = "10.99.1.1"
"""The way there leads to the server, which forwards nothing and says nothing."""

NOBODY6 = "fd99:1::1"
OTHER_IP, OTHER_IP6 = "10.99.0.3", "fd99::3"
"""The server has them too."""

POOL = ("10.99.0.16", "10.99.0.17")
POOL6 = ("fd99::16", "fd99:0:0:0:7:8:9:a")
LIMIT_S = 60.0
_CLONE_NEWNET = 0x40000000
_NGINX = """\
pid {0}/pid; error_log {0}/error.log; worker_processes 1; daemon off; user root root;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {0}/t; proxy_temp_path {0}/t; fastcgi_temp_path {0}/t;
  uwsgi_temp_path {0}/t; scgi_temp_path {0}/t; root {0};
  server {{ listen {1}:80 backlog=4096; listen [{2}]:80 backlog=4096; location / {{ }} }}
}}
"""
_SWITCH = Path(__file__).with_name("switch.py")
_NUMBERS = count()
SMALL, LARGE = b"hello\n", bytes(range(256)) * 800


class Losing(Kept):
    """An outlet that keeps what the engine says of losses, too."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@dataclass
class Stand:
    """The two namespaces, by name."""

    client: str
    server: str

    def plan(self, requests: int, concurrency: int = 10, **more: Any) -> LoadPlan:
        shares = more.pop("shares", ((more.pop("close", "client"), 1.0),))
        hold, version = more.pop("hold", Hold()), more.pop("version", 4)
        request = Request(method="GET", path=more.pop("path", "/small"))
        options: dict[str, Any] = {
            "target": Target(vip=SERVER_IP6 if version == 6 else SERVER_IP, port=80),
            "arrivals": ClosedModel(requests=requests, concurrency=concurrency),
            "request": request,
            "closing": Closing(shares=shares, hold=hold),
            "engine": "packets",
            "sources": POOL6 if version == 6 else POOL,
        }
        return LoadPlan(**options | more)

    def carry_out(
        self,
        plan: LoadPlan,
        when_sent: Callable[[], None] = lambda: None,
        enough: Callable[[Losing], bool] = lambda outlet: outlet.has_sent,
    ) -> tuple[list[dict[str, Any]], Losing]:
        """The rows of a plan, stopped when it is enough and ``when_sent`` has returned.

        That is when all has been sent, unless given.
        """
        outlet = Losing()
        (share,) = parts(plan, time.time_ns())

        def body() -> None:
            sending = threading.Thread(target=_in, args=(self.client, lambda: send(share, outlet)))
            sending.start()
            wait_until(lambda: enough(outlet) or not sending.is_alive(), LIMIT_S)
            try:
                when_sent()
            finally:
                outlet.stopped = True
                sending.join(LIMIT_S)
            assert not sending.is_alive()

        body()
        assert outlet.has_sent
        return outlet.shown(), outlet

    def peers(self, state: str) -> set[tuple[str, int]]:
        """Whom the server's sockets in a state that ss(8) knows are connected to."""
        ends = [line.split()[3].rpartition(":") for line in self._ss(f"state {state}")]
        return {(address.strip("[]"), int(port)) for address, _, port in ends}

    def listens(self) -> bool:
        """Whether the server is there."""
        return bool(self._ss("-l"))

    def _ss(self, what: str) -> list[str]:
        command = f"ip netns exec {self.server} ss -Htn {what} sport = :80"
        return subprocess.check_output(shlex.split(command), text=True).splitlines()

    def move(self) -> None:
        """The server's addresses have another MAC, as when they move to another host."""
        for version, notify in ((4, "arp_notify"), (6, "ndisc_notify")):
            _do(f"ip netns exec {self.server} sysctl -w net.ipv{version}.conf.up0.{notify}=1")
        _do(f"ip -n {self.server} link set up0 address 02:00:00:00:99:{next(_NUMBERS):02x}")

    def run(self, body: Callable[[], T]) -> T:
        """What ``body`` returns, in the client's namespace."""
        return _in(self.client, body)


def _in(namespace: str, body: Callable[[], T]) -> T:
    """In a thread of its own, for a thread that has moved stays where it is."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _enter(namespace)
            results.append(body())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LIMIT_S)
    if errors:
        raise errors[0]
    return results[0]


def _enter(namespace: str) -> None:
    with Path("/run/netns", namespace).open() as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def stand(folder: Path, loss: float = 0.0) -> Iterator[Stand]:
    """The two namespaces with nginx between ``/small`` and ``/large``; gone afterwards."""
    number = f"{os.getpid()}n{next(_NUMBERS)}"
    made = Stand(f"lgpc{number}", f"lgps{number}")
    (folder / "nginx.conf").write_text(_NGINX.format(folder, SERVER_IP, SERVER_IP6))
    folder.chmod(0o755)
    (folder / "small").write_bytes(SMALL)
    (folder / "large").write_bytes(LARGE)
    with ExitStack() as leaving:
        for name in (made.client, made.server):
            leaving.callback(_quietly, f"ip netns del {name}")
            _do(f"ip netns add {name}")
        if loss:
            leaving.enter_context(_lossy(made, loss))
        else:
            _do(f"ip -n {made.server} link add up0 type veth peer name up0 netns {made.client}")
        ends = ((made.server, SERVER_IP, SERVER_IP6), (made.client, HOST_IP, HOST_IP6))
        for name, address, address6 in ends:
            _do(f"ip -n {name} address add {address}/24 dev up0")
            _do(f"ip -n {name} address add {address6}/64 dev up0 nodad")
            _do(f"ip -n {name} link set lo up")
            _do(f"ip -n {name} link set up0 up")
        _do(f"ip -n {made.server} address add {OTHER_IP}/24 dev up0")
        _do(f"ip -n {made.server} address add {OTHER_IP6}/64 dev up0 nodad")
        _do(f"ip -n {made.client} route add {NOBODY} via {SERVER_IP}")
        _do(f"ip -n {made.client} route add {NOBODY6} via {SERVER_IP6}")
        leaving.enter_context(_nginx(made, folder))
        yield made


@contextmanager
def _nginx(made: Stand, folder: Path) -> Iterator[None]:
    command = f"ip netns exec {made.server} nginx -c {folder}/nginx.conf -e {folder}/error.log"
    nginx = subprocess.Popen(shlex.split(command))
    try:
        assert wait_until(made.listens)
        yield
    finally:
        nginx.terminate()
        nginx.wait()


@contextmanager
def _lossy(made: Stand, loss: float) -> Iterator[None]:
    """A switch between the two, in a namespace of its own, that forwards what it does not drop."""
    switch = made.client.replace("lgpc", "lgpw")
    try:
        _do(f"ip netns add {switch}")
        for end, name in (("c0", made.client), ("s0", made.server)):
            _do(f"ip -n {switch} link add {end} type veth peer name up0 netns {name}")
            _do(f"ip -n {switch} link set {end} up")
            for kind in ("tso", "gso", "gro", "tx"):  # what is forwarded must be whole frames
                _quietly(f"ip netns exec {name} ethtool -K up0 {kind} off")
        command = f"ip netns exec {switch} {sys.executable} {_SWITCH} c0 s0 {loss}"
        with subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as forwarding:
            assert forwarding.stdout is not None
            assert forwarding.stdout.readline() == b"ready\n"
            yield
            forwarding.communicate()
    finally:
        _quietly(f"ip netns del {switch}")


def _do(words: str) -> None:
    subprocess.run(shlex.split(words), check=True, capture_output=True)


def _quietly(words: str) -> None:
    subprocess.run(shlex.split(words), check=False, capture_output=True)
