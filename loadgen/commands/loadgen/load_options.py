"""The flags that say what load is sent. Commands share them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from analyzer.forecast.closings import CLOSES, in_words
from loadgen.commands.load_types import BODY, HEADER, HOLD, HOST, STAGE, TARGETS, URL
from loadgen.commands.types import CLOSE_MIX, DURATION, METHOD, RATE, SPAN, URL_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.forecast.closings import Close
    from analyzer.forecast.lifetimes import Arrivals
    from loadgen.load.aim import Url
    from loadgen.load.engines.abilities import Choice
    from loadgen.load.hold import Hold
    from loadgen.load.plan import Stage
    from loadgen.load.target_file import TargetLine

MOST_REDIRECTS = 10
_CREDENTIALS = re.compile(
    r"^((?:-H|--header=)?\s*(?:authorization|proxy-authorization|cookie)\s*:).*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The flags of a load, as given; ``load_plan.plan_of`` makes a plan of them."""

    url: tuple[Url, ...]
    vips: tuple[str, ...]
    targets: tuple[TargetLine, ...] | None
    port: int | None
    only_ipv4: bool
    only_ipv6: bool
    resolve: tuple[str, ...]
    connect_to: tuple[str, ...]
    method: str
    path: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    tls: bool
    sni: str | None
    insecure: bool
    location: bool
    requests: int | None
    concurrency: int | None
    requests_per_connection: int
    think: float
    rate: float | None
    duration: float | None
    stages: tuple[Stage, ...]
    arrivals: Arrivals
    seed: int
    close: Mapping[Close, float]
    hold: Hold
    timeout: float
    connect_timeout: float
    local_ips: str | None
    port_reuse: float | None
    engine: Choice
    processes: int
    tcp_info: bool
    udp: bool
    payload: bytes | None
    no_answer: bool
    agreed: bool


def _table() -> list[Callable[[Any], Any]]:
    many, at_least_1 = {"multiple": True}, click.IntRange(1)
    return [
        click.argument("url", type=URL, nargs=-1, metavar="[URL]..."),
        _option(
            "--vip",
            "vips",
            type=HOST,
            metavar="HOST[:PORT]",
            help="Virtual IP, or a name that resolves to it; instead of URL. Several of either "
            "take turns, connection by connection; repeatable.",
            **many,
        ),
        _option(
            "--targets",
            type=TARGETS,
            metavar="FILE",
            help="File with a HOST[:PORT] or URL on each line; instead of URL and --vip.",
        ),
        _option(
            "--port",
            type=click.IntRange(1, 65535),
            help="Port of the service; 80, or 443 with --tls.",
        ),
        _option("-4", "only_ipv4", is_flag=True, help="Resolve names to IPv4 addresses only."),
        _option("-6", "only_ipv6", is_flag=True, help="Resolve names to IPv6 addresses only."),
        _option("--resolve", metavar="HOST:PORT:ADDRESS", help="As in curl; repeatable.", **many),
        _option(
            "--connect-to",
            metavar="HOST1:PORT1:HOST2:PORT2",
            help="As in curl; repeatable.",
            **many,
        ),
        _option("-X", "--method", type=METHOD, default="HEAD", show_default=True),
        _option("--path", type=URL_PATH, help="Path of the request.  [/]"),
        _option(
            "-H", "--header", "headers", type=HEADER, help="Request header; repeatable.", **many
        ),
        _option("--body", type=BODY, help="Body of the request; @FILE reads it from a file."),
        _option("--tls", is_flag=True, help="Send HTTPS requests."),
        _option("--sni", type=HOST, help="TLS server name; by default the VIP's."),
        _option("-k", "--insecure", is_flag=True, help="Accept any TLS certificate."),
        _option(
            "-L",
            "--location",
            is_flag=True,
            help=f"Follow redirects, up to {MOST_REDIRECTS}, at the same host.",
        ),
        _option(
            "-n",
            "requests",
            type=at_least_1,
            help="Number of requests in all.  [50]",
        ),
        _option("-c", "concurrency", type=at_least_1, help="Concurrent connections.  [1]"),
        _option(
            "--requests-per-connection",
            type=at_least_1,
            default=1,
            show_default=True,
            metavar="K",
            help="Requests that each connection carries, one after another (keep-alive).",
        ),
        _option("--think", type=DURATION, default=0, help="Pause of each sender between requests."),
        _option(
            "-q",
            "--rate",
            type=RATE,
            help="Requests per second in total (open loop), on connections begun at this rate "
            "divided by K; without it a closed loop.",
        ),
        _option("-z", "--duration", type=SPAN, help="How long to send."),
        _option(
            "--stage", "stages", type=STAGE, help="A stage of the schedule; repeatable.", **many
        ),
        _option(
            "--arrivals",
            type=click.Choice(["uniform", "poisson"]),
            default="uniform",
            show_default=True,
            help="Spacing of requests in an open loop.",
        ),
        _option(
            "--seed",
            type=int,
            default=0,
            show_default=True,
            help="Seed of random arrivals and hold times.",
        ),
        _option(
            "--close",
            type=CLOSE_MIX,
            default="client",
            show_default=True,
            help=f"How connections end: {in_words(CLOSES)}; those from half-open on need "
            "--engine packets; or a mix such as client=70,server=20,reset=10.",
        ),
        _option(
            "--hold",
            type=HOLD,
            default="0",
            help="Time between response and close: 2s, uniform(1s,5s) or exponential(3s).",
        ),
        _option(
            "--timeout", type=SPAN, default=30, show_default=True, help="Timeout of a request."
        ),
        _option(
            "--connect-timeout",
            type=SPAN,
            default=10,
            show_default=True,
            help="Timeout of connecting.",
        ),
        _option(
            "--local-ips",
            metavar="POOL",
            help="Source addresses: ranges or CIDR, separated by commas.",
        ),
        _option(
            "--port-reuse",
            type=DURATION,
            help="Reuse a source port after this time; with --engine packets.",
        ),
        _option(
            "--engine",
            type=click.Choice(["auto", "http", "sockets", "packets"]),
            default="auto",
            show_default=True,
            help="Engine that sends the load.",
        ),
        _option("--processes", type=click.IntRange(1, 256), default=1, show_default=True),
        _option("--tcp-info", is_flag=True, help="Record retransmissions and RTT per connection."),
        _option("--udp", is_flag=True, help="Send UDP datagrams, each from its own source port."),
        _option("--payload", type=BODY, help="Payload of a datagram; @FILE reads it from a file."),
        _option("--no-answer", is_flag=True, help="Do not wait for a response to a datagram."),
        _option(
            "--yes", "agreed", is_flag=True, help="Allow many connections to a public address."
        ),
    ]


def load_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags of a load."""
    for decorate in reversed(_table()):
        command = decorate(command)
    return command


def _option(*names: str, **words: Any) -> Callable[[Any], Any]:
    return click.option(*names, **words)


def without_credentials(words: Sequence[str]) -> list[str]:
    """A command line as it may stand in a recording that is given to others."""
    return [_CREDENTIALS.sub(r"\1 (not recorded)", word) for word in words]
