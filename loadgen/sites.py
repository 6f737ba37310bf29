"""From where a run sends, and which directors it asks: the running lab's, or as configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.recording.hosts import CLIENT
from loadgen.director.links.configured import configured, configured_each
from loadgen.director.links.link import Link, is_link, lab_link, parse_link
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.lab.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a run stands.

    Attributes:
        directors: that hold the VIP; empty for a plain load test.
        namespace: the network namespace to send from; None for where we stand.
        interface: the one that the VIP is reached through; None where it must be found.
        lab: the lab's name, None outside of one.
        servers: real servers whose sockets are to be counted.
        capture_on: the host that captures; None for the client.
    """

    directors: tuple[Link, ...]
    namespace: str | None
    interface: str | None
    lab: str | None
    servers: tuple[Link, ...] = ()
    capture_on: Link | None = None


def find_site(
    vip: str | None,
    directors: Sequence[str],
    lab_name: str | None,
    servers: Sequence[str] = (),
    capture_on: str = CLIENT,
    *,
    sends: bool = True,
    also: Sequence[str] = (),
) -> Site:
    """The running lab that holds the VIPs, else here with the directors that are configured.

    A command that only watches takes a running lab where nothing else is configured, or the lab
    is named: else one would be asked of production and the other would answer.

    Args:
        vip: as the operator gave it; None to watch whatever the directors hold.
        directors: the values of ``--director``; in a lab, a host's name will do.
        lab_name: which lab, where several hold the VIP.
        servers: the values of ``--server``; in a lab by default its servers.
        capture_on: the host that captures: the client, a director or server of this run or of the
            lab by its name, or a link.
        sends: whether load is sent to the VIP; otherwise directors are only watched.
        also: further VIPs that load is sent to.

    Raises:
        UsageProblem: a director or server that is none, a configuration file that cannot be read,
            a lab that is not up, or several to choose from; a lab that holds some of the VIPs.
    """
    if sends or lab_name is not None:
        lab = _find_lab(vip, directors, lab_name)
        for other in also:
            _check_is_there_too(other, lab, vip, _find_lab(other, directors, lab_name))
    else:
        directors = list(directors) or _configured_to_watch(vip)
        lab = _lab_to_watch(vip, directors)
    if lab is not None:
        return _lab_site(lab, directors, servers, capture_on)
    specs = list(directors) or _configured_for([vip, *also])
    links = [parse_link(spec) for spec in dict.fromkeys(specs)]
    real = [_other_link(spec, "--server") for spec in dict.fromkeys(servers)]
    return Site(
        directors=_distinct(links),
        namespace=None,
        interface=None,
        lab=None,
        servers=_distinct(real, "--server"),
        capture_on=_capture_link(capture_on, [*links, *real]),
    )


def _check_is_there_too(other: str, lab: Lab | None, vip: str | None, its: Lab | None) -> None:
    """One burst is sent from one place.

    Raises:
        UsageProblem: the VIPs are not all in one lab, or all outside of any.
    """
    names = [None if each is None else each.name for each in (lab, its)]
    if names[0] != names[1]:
        places = [f"in lab {name!r}" if name else "in no lab that is up" for name in names]
        raise UsageProblem(f"{vip} is {places[0]}, {other} is {places[1]}: expected one place")


def _configured_for(vips: Sequence[str | None]) -> list[str]:
    """The configured directors of all VIPs, each once."""
    return list(dict.fromkeys(spec for each in configured_each(vips) for spec in each.specs))


def _other_link(spec: str, option: str) -> Link:
    try:
        link = parse_link(spec)
    except UsageProblem as error:
        raise UsageProblem(str(error).replace("--director", option, 1)) from error
    return _from_here(link, option)


def _from_here(link: Link, option: str) -> Link:
    """The link, which must begin at this host.

    Raises:
        UsageProblem: it begins at a worker of a cluster.
    """
    if link.worker is not None:
        raise UsageProblem(
            f"{option} {link.spec}: only --director takes worker:; expected a link from this host"
        )
    return link


def _capture_link(name: str, hosts: Sequence[Link]) -> Link | None:
    """The host that captures, of these or by a link; None for the client."""
    if name == CLIENT:
        return None
    matching = [link for link in hosts if name in (link.name, link.spec)]
    if matching:
        return _from_here(matching[0], "--capture-on")
    return _other_link(name, "--capture-on")


def _find_lab(vip: str | None, directors: Sequence[str], name: str | None) -> Lab | None:
    from loadgen.lab.lab import running_labs
    from loadgen.lab.system import rootless

    rootless.enter()
    whose = f" and holds {vip}" if vip else ""
    labs = [lab for lab in running_labs() if name in (None, lab.name)]
    labs = [lab for lab in labs if _is_meant(lab, vip, directors, name)]
    if name is not None and not labs:
        raise UsageProblem(f"--lab {name}: no lab of that name is up{whose}")
    if len(labs) > 1:
        names = ", ".join(lab.name for lab in labs)
        which = f"several labs hold {vip}" if vip else "several labs are up"
        raise UsageProblem(f"{which} ({names}): name one with --lab")
    return labs[0] if labs else None


def _is_meant(lab: Lab, vip: str | None, directors: Sequence[str], name: str | None) -> bool:
    """By the VIP; without one by its name, or by the names of its directors, if any were given."""
    if vip is not None:
        return lab.holds(vip)
    return (
        name is not None or not directors or any(host in lab.director_names for host in directors)
    )


def changes_only_a_lab(site: Site, directors: Sequence[str]) -> bool:
    """Whether all directors are a lab's own, so that nobody need agree to their being changed."""
    return site.lab is not None and not any(map(is_link, directors))


def _configured_to_watch(vip: str | None) -> list[str]:
    """The configured directors, where no lab makes it doubtful which are meant.

    Raises:
        UsageProblem: a running lab holds the VIP too.
    """
    settings = configured(vip)
    if vip is None or not settings.specs or not any(map(is_link, settings.specs)):
        return settings.specs
    lab = _find_lab(vip, (), None)
    if lab is not None:
        raise UsageProblem(
            f"lab {lab.name!r} is up and holds {vip}, and {settings.where} names "
            f"{', '.join(settings.specs)}: name one of them, with --lab {lab.name} or --director"
        )
    return settings.specs


def _lab_to_watch(vip: str | None, specs: Sequence[str]) -> Lab | None:
    """The lab whose hosts are named; where nothing is, the one that is up."""
    if not specs:
        return _find_lab(vip, (), None)
    return None if all(map(is_link, specs)) else _find_lab(None, specs, None)


def stand_in(site: Site, vip: str | None, say: Callable[[str], None]) -> None:
    """Move this process to where the site sends from, and say so in one line."""
    if site.namespace is None:
        return
    from loadgen.lab.system.netns import enter

    enter(site.namespace)
    names = ", ".join(link.name for link in site.directors)
    doing = f" holds {vip}: sending from its client," if vip else ":"
    say(f"lab {site.lab!r}{doing} watching {names}")


def _lab_site(
    lab: Lab, directors: Sequence[str], servers: Sequence[str], capture_on: str = CLIENT
) -> Site:
    lab_directors = {
        name: lab_link(
            name,
            lab.topology.host(name).address,
            lab.ssh_config,
            "ipvs" if lab.topology.has_ipvs else "netfilter",
        )
        for name in lab.director_names
    }
    links = [
        lab_directors.get(name) or parse_link(name)
        for name in dict.fromkeys(directors or lab_directors)
    ]
    return Site(
        directors=_distinct(links),
        namespace=lab.client_namespace,
        interface=lab.client_interface,
        lab=lab.name,
        servers=_distinct(_lab_servers(lab, servers), "--server"),
        capture_on=_capture_link(capture_on, [*lab_directors.values(), *_lab_servers(lab, ())]),
    )


def _lab_servers(lab: Lab, servers: Sequence[str]) -> list[Link]:
    """A lab's real servers, by the same way as ``lab shell``."""
    lab_servers = {name: tuple(lab.command(name, ["sh"])) for name in lab.servers}
    return [
        Link(name=name, kind="exec", spec=name, argv=lab_servers[name])
        if name in lab_servers
        else _other_link(name, "--server")
        for name in dict.fromkeys(servers or lab_servers)
    ]


def _distinct(links: Sequence[Link], option: str = "--director") -> tuple[Link, ...]:
    names = [link.name for link in links]
    for link in links:
        if names.count(link.name) > 1:
            raise UsageProblem(
                f"{option} {link.spec}: two hosts are called {link.name}; "
                f"name them, as in {option} NAME={link.spec}"
            )
    return tuple(links)
