"""The plan that the flags of a load come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.commands.loadgen.load_options import MOST_REDIRECTS

if TYPE_CHECKING:
    from loadgen.commands.loadgen.load_options import LoadOptions
    from loadgen.load.aim import Aim
    from loadgen.load.destination import Family, LoadDestination, NameOverrides
    from loadgen.load.plan import (
        ClosedModel,
        Closing,
        Datagram,
        LoadPlan,
        OpenModel,
        PlannedTarget,
        Request,
    )

_DEFAULT_REQUESTS = 50


def plan_of(options: LoadOptions) -> tuple[LoadPlan, str]:
    """The plan that the flags come to, with its engine, and why it is this engine.

    Raises:
        UsageProblem: flags that do not go together, a name without an address, or what no engine
            can do.
    """
    from dataclasses import replace

    from loadgen.load.engines.abilities import choose
    from loadgen.load.plan import LoadPlan
    from loadgen.load.source_addresses import parse_pool

    first, *others = _targets(options)
    plan = LoadPlan(
        target=first.target,
        arrivals=_arrivals(options),
        request=first.request,
        others=tuple(others),
        closing=_closing(options),
        datagram=_datagram(options),
        sources=parse_pool(options.local_ips) if options.local_ips else (),
        processes=options.processes,
        requests_per_connection=options.requests_per_connection,
        timeout_s=options.timeout,
        connect_timeout_s=options.connect_timeout,
        tcp_info=options.tcp_info,
        port_reuse_s=options.port_reuse,
    )
    engine, why = choose(options.engine, plan)
    return replace(plan, engine=engine), why


def _targets(options: LoadOptions) -> list[PlannedTarget]:
    """All targets, in the order in which they were given."""
    from loadgen.errors import UsageProblem
    from loadgen.load.destination import find_destination
    from loadgen.load.plan import PlannedTarget
    from loadgen.target import Target

    aims = _aims(options)
    if not any(aim.tls for _, aim in aims) and (options.insecure or options.sni):
        raise UsageProblem("-k and --sni: expected https:// or --tls with them")
    overrides, protocol = _name_overrides(options), "UDP" if options.udp else "TCP"
    places: dict[PlannedTarget, str] = {}
    for where, aim in aims:
        destination = find_destination(aim.host, aim.port, overrides)
        target = Target(vip=destination.address, port=destination.port, protocol=protocol)
        planned = PlannedTarget(target=target, request=_request(options, aim, destination))
        if planned in places:
            raise UsageProblem(f"{where}: the same target as {places[planned]}")
        places[planned] = where
    return list(places)


def _aims(options: LoadOptions) -> list[tuple[str, Aim]]:
    """What each URL, ``--vip`` or line of the file comes to, and where it stands."""
    from functools import partial

    from loadgen.errors import UsageProblem
    from loadgen.load.aim import MOST_TARGETS, aim_of

    given = {"a URL": options.url, "--vip": options.vips, "--targets": options.targets}
    ways = [name for name, values in given.items() if values]
    if len(ways) > 1:
        raise UsageProblem(f"{ways[0]} and {ways[1]}: expected one of them")
    lines = options.targets or ()
    if options.udp and (options.url or any(line.url for line in lines)):
        raise UsageProblem("a URL and --udp: expected --vip HOST:PORT with --udp")
    if len(options.url) > MOST_TARGETS or len(options.vips) > MOST_TARGETS:
        raise UsageProblem(f"{ways[0]}: expected at most {MOST_TARGETS} targets")
    aim = partial(aim_of, port=options.port, tls=options.tls, path=options.path)
    if lines:
        return [(line.where, aim(line.url, line.vip, where=line.where)) for line in lines]
    if options.url:
        return [(f"URL {n}", aim(url, None)) for n, url in enumerate(options.url, 1)]
    if options.vips:
        return [(f"--vip {vip}", aim(None, vip)) for vip in options.vips]
    return [("", aim(None, None))]  # which says what was expected


def _name_overrides(options: LoadOptions) -> NameOverrides:
    from loadgen.errors import UsageProblem
    from loadgen.load.destination import NameOverrides

    if options.only_ipv4 and options.only_ipv6:
        raise UsageProblem("-4 and -6: expected one of them")
    family: Family | None = 4 if options.only_ipv4 else 6 if options.only_ipv6 else None
    return NameOverrides(connect_to=options.connect_to, resolve=options.resolve, family=family)


def _arrivals(options: LoadOptions) -> ClosedModel | OpenModel:
    from loadgen.errors import UsageProblem
    from loadgen.load.plan import ClosedModel, OpenModel, Stage

    rate, span_s, requests = options.rate, options.duration, options.requests
    stages = options.stages
    if stages and (rate or span_s):
        raise UsageProblem("--stage sets rate and duration: it cannot be combined with -q or -z")
    if rate:
        span_s = span_s or (requests or _DEFAULT_REQUESTS) / rate
        stages = (Stage(duration_s=span_s, rate_per_s=rate),)
    if not stages:
        count = requests if requests or span_s else _DEFAULT_REQUESTS
        return ClosedModel(
            requests=count,
            concurrency=options.concurrency or 1,
            think_s=options.think,
            duration_s=span_s,
        )
    if options.think:
        raise UsageProblem(
            "--think cannot be combined with -q or --stage: an open loop does not wait"
        )
    return OpenModel(
        stages=stages,
        arrivals=options.arrivals,
        seed=options.seed,
        requests=requests,
        at_once=options.concurrency,
    )


def _request(options: LoadOptions, aim: Aim, destination: LoadDestination) -> Request:
    from loadgen.load.plan import Request

    return Request(
        method=options.method,
        path=aim.path,
        headers=tuple(options.headers),
        body=options.body or b"",
        authority=destination.authority,
        tls=aim.tls,
        server_name=options.sni or destination.name,
        verify=not options.insecure,
        redirects=MOST_REDIRECTS if options.location else 0,
    )


def _closing(options: LoadOptions) -> Closing:
    from dataclasses import replace

    from loadgen.load.plan import Closing

    hold = replace(options.hold, seed=options.seed)
    return Closing(shares=tuple(options.close.items()), hold=hold)


def _datagram(options: LoadOptions) -> Datagram | None:
    from loadgen.errors import UsageProblem
    from loadgen.load.plan import Datagram

    if not options.udp:
        if options.payload is not None or options.no_answer:
            raise UsageProblem("--payload and --no-answer: expected --udp with them")
        return None
    payload = options.payload
    answered = not options.no_answer
    return (
        Datagram(answered=answered)
        if payload is None
        else Datagram(payload=payload, answered=answered)
    )
