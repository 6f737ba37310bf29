"""The flags that describe a topology, and the topology they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from loadgen.commands.loadgen.lab.types import NUMBERS, SYSCTL, WORDS
from loadgen.commands.types import TIMEOUTS, PathType

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.lab.topology.model import Topology

SCHEDULERS = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]
COUNTS = ("directors", "servers", "clients", "vips")
ECHO_PORT = 7

_OPTIONS = (
    click.option("--directors", type=click.IntRange(1, 5), default=2, show_default=True),
    click.option("--servers", type=click.IntRange(1, 16), default=2, show_default=True),
    click.option(
        "--weights",
        type=NUMBERS,
        help="Weights of the real servers, such as 1,2,3; by default 1 each.",
    ),
    click.option("--clients", type=click.IntRange(1, 16), default=1, show_default=True),
    click.option(
        "--director-kind",
        type=click.Choice(["ipvs", "nftables", "iptables"]),
        default="ipvs",
        show_default=True,
        help="What forwards on the directors: IPVS, or rules that translate addresses.",
    ),
    click.option(
        "--forwarding",
        type=click.Choice(["dr", "nat", "tun"]),
        show_default="dr; nat of directors without IPVS",
        help="How packets reach the real servers.",
    ),
    click.option("--scheduler", type=click.Choice(SCHEDULERS), default="rr", show_default=True),
    click.option(
        "--scheduler-flags",
        metavar="FLAG,...",
        help="Flags of the scheduler, such as mh-port, sh-port.",
    ),
    click.option("--vips", type=click.IntRange(1, 60), default=1, show_default=True),
    click.option(
        "--plan",
        type=WORDS,
        multiple=True,
        metavar="DIRECTOR,...",
        help="Directors that shall hold a VIP, in order of preference; once per VIP; by default "
        "shared evenly.",
    ),
    click.option(
        "--timeouts",
        type=TIMEOUTS,
        metavar="TCP,TCPFIN,UDP",
        default="900,120,300",
        show_default="the kernel's own, 900,120,300",
        help="The directors' timeouts in seconds, as ipvsadm --set takes them.",
    ),
    click.option(
        "--sysctl",
        "sysctls",
        type=SYSCTL,
        multiple=True,
        metavar="NAME=VALUE",
        help="Sysctl to set on every director, net.ipv4.vs.NAME, or of one without IPVS "
        "net.netfilter.nf_conntrack_NAME; repeatable.",
    ),
    click.option("--sync", is_flag=True, help="Run the IPVS sync daemon between the directors."),
    click.option(
        "--garp-master-refresh",
        "garp_master_refresh_s",
        type=click.IntRange(0, 3600),
        default=0,
        show_default="never",
        metavar="SECONDS",
        help="Interval at which a master repeats gratuitous ARP for its VIPs.",
    ),
    click.option(
        "--vrrp",
        type=click.Choice(["multicast", "unicast"]),
        default="multicast",
        show_default=True,
        help="How directors advertise; unicast as in networks without multicast.",
    ),
    click.option(
        "--vrrp-version",
        type=click.IntRange(2, 3),
        default=2,
        show_default=True,
        help="VRRP version of the IPv4 VIPs; IPv6 is always version 3.",
    ),
    click.option(
        "--advert-interval",
        "advert_interval_s",
        type=click.FloatRange(0.01, 255),
        default=1,
        show_default=True,
        metavar="SECONDS",
        help="Interval of VRRP advertisements; parts of a second need --vrrp-version 3.",
    ),
    click.option(
        "--nopreempt", is_flag=True, help="A director that returns does not take the VIP back."
    ),
    click.option(
        "--preempt-delay",
        "preempt_delay_s",
        type=click.IntRange(0, 1000),
        default=0,
        show_default=True,
        metavar="SECONDS",
        help="Additional wait of a director that returns before it takes the VIP back.",
    ),
    click.option(
        "--use-vmac", is_flag=True, help="Give the VIP a MAC of its own, which moves with it."
    ),
    click.option(
        "--bfd",
        is_flag=True,
        help="Run BFD between the directors; a master that no longer hears its backup gives up.",
    ),
    click.option(
        "--ipv6",
        is_flag=True,
        help="Add IPv6 addresses to VIPs and hosts; each IPv6 VIP has its own VRRP instance.",
    ),
    click.option("--udp", is_flag=True, help=f"Also a UDP service, port {ECHO_PORT}, an echo."),
    click.option(
        "--director-memory",
        "director_memory_mb",
        type=click.IntRange(64, 4096),
        default=128,
        show_default=True,
        metavar="MB",
    ),
    click.option(
        "--conn-tab-bits",
        type=click.IntRange(8, 20),
        help="2^N buckets in the connection table; by default 12.",
    ),
    click.option(
        "--vip-by",
        type=click.Choice(["keepalived", "static"]),
        default="keepalived",
        show_default=True,
        help="How VIPs are assigned: static needs no election, and has no fail-over.",
    ),
    click.option(
        "--kernel",
        type=click.Choice(["auto", "uml", "host"]),
        default="auto",
        show_default=True,
        help="Kernel of the directors: User-Mode Linux, or this machine's own if it has ip_vs.",
    ),
    click.option(
        "--kernel-image",
        metavar="VERSION|DIR",
        show_default="the installed User-Mode Linux",
        help="Kernel of the directors' User-Mode Linux: 5.10, 6.1, 6.12, 7.2 (Debian's packages, "
        "fetched when needed) or a directory with linux.uml and modules/; also per director, "
        "bal01=5.10,bal02=7.2.",
    ),
    click.option(
        "--topology",
        "file",
        type=PathType(dir_okay=False),
        metavar="FILE",
        help="Topology as a TOML file, as `lab status --toml` prints it.",
    ),
)


def topology_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted_topology(options: dict[str, Any]) -> Topology | None:
    """The topology that the flags or the file describe; None if there is neither.

    Raises:
        UsageProblem: flags or file contradict themselves.
        click.UsageError: flags and a file.
    """
    given = _given(options)
    file = options["file"]
    if file is not None:
        others = sorted(given - {"file"})
        if others:
            flag = others[0].replace("_", "-").removesuffix("-mb").removesuffix("-s")
            raise click.UsageError(f"--topology FILE cannot be combined with --{flag}")
        from loadgen.lab.topology.file import read

        return read(file)
    return _from_flags(options, given) if given else None


def _from_flags(options: dict[str, Any], given: set[str]) -> Topology:
    from loadgen.lab.topology.layout import HostCounts, lay_out, with_kernel_image
    from loadgen.lab.topology.model import Kernel

    chosen = {key: value for key, value in options.items() if key in given}
    counts = {name: chosen.pop(name) for name in COUNTS if name in chosen}
    if "plan" in chosen and "vips" not in counts:
        counts["vips"] = len(chosen["plan"])
    image = chosen.pop("kernel_image", None)
    if "kernel" in chosen:
        chosen["kernel"] = Kernel(chosen["kernel"])
    if chosen.pop("udp", False):
        chosen["udp_port"] = ECHO_PORT
    made = lay_out(HostCounts(**counts), **chosen)
    return made if image is None else with_kernel_image(made, image)


def _given(options: dict[str, Any]) -> set[str]:
    """The names of those that the operator gave."""
    context = click.get_current_context()
    return {
        name
        for name in options
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
