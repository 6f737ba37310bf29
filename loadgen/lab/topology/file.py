"""A topology as TOML: what ``lab up --topology FILE`` reads and ``lab status --toml`` prints.

A person may write ``directors = 3`` and leave the rest to the usual layout, or spell every host
out; what is printed always spells everything out, so reading it gives the same topology again.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.states import Timeouts
from loadgen.errors import UsageProblem
from loadgen.lab.kernels import images
from loadgen.lab.topology import layout
from loadgen.lab.topology.contradictions import check
from loadgen.lab.topology.model import Host, Kernel, Role, Topology, Vip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROLES = {"directors": Role.DIRECTOR, "servers": Role.SERVER, "clients": Role.CLIENT}
LISTED = (*ROLES, "vips")
SETTINGS: Mapping[str, type] = {
    "port": int,
    "udp_port": int,
    "scheduler": str,
    "scheduler_flags": str,
    "director_kind": str,
    "forwarding": str,
    "sync": bool,
    "ipv6": bool,
    "vip_by": str,
    "advert_interval_s": float,
    "kernel": str,
    "director_memory_mb": int,
    "conn_tab_bits": int,
    "garp_master_refresh_s": int,
    "vrrp": str,
    "vrrp_version": int,
    "nopreempt": bool,
    "preempt_delay_s": int,
    "use_vmac": bool,
    "bfd": bool,
}
"""Key -> type of the plain ones, each a field of ``Topology``."""


def read(path: Path) -> Topology:
    """The topology in a file.

    Raises:
        UsageProblem: it cannot be read, is no TOML, or contradicts itself.
    """
    try:
        return from_toml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path}: {error}") from error
    except UsageProblem as error:
        raise UsageProblem(f"{path}: {error}") from error


def to_toml(topology: Topology) -> str:
    """All of it; what is None is left out."""
    return "\n".join(_lines(topology)) + "\n"


def from_toml(text: str) -> Topology:
    """The topology that a text describes.

    Raises:
        UsageProblem: it is no TOML, has keys or values that nobody knows, or contradicts itself.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageProblem(str(error)) from error
    _check_keys(values, {*LISTED, *SETTINGS, "timeouts", "sysctl", "kernel_image"}, "a topology")
    settings = {name: _plain(values[name], name, kind) for name, kind in _given(values)}
    if "kernel" in settings:
        settings["kernel"] = _kernel(settings["kernel"])
    if "timeouts" in values:
        settings["timeouts"] = _timeouts(values["timeouts"])
    if "sysctl" in values:
        settings["sysctls"] = _sysctls(values["sysctl"])
    counts = layout.HostCounts(
        **{name: _count(values[name], name) for name in LISTED if name in values}
    )
    made = _with_hosts(layout.usual(counts, **settings), values)
    if "kernel_image" in values:
        made = replace(made, kernel_images=_kernel_images(values["kernel_image"], made))
    check(made)
    return made


def _lines(topology: Topology) -> Iterator[str]:
    for name in SETTINGS:
        value = getattr(topology, name)
        if value is not None:
            yield f"{name} = {json.dumps(value)}"
    timeouts = topology.timeouts
    values = [int(value) for value in (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)]
    yield f"timeouts = {values}  # tcp, tcpfin, udp: seconds"
    if topology.sysctls:
        yield "\n[sysctl]"
        yield from (f"{json.dumps(name)} = {json.dumps(value)}" for name, value in topology.sysctls)
    if topology.kernel_images:
        yield "\n[kernel_image]"
        yield from (f"{name} = {json.dumps(image)}" for name, image in topology.kernel_images)
    for key, role in ROLES.items():
        for host in (host for host in topology.hosts if host.role is role):
            yield f'\n[[{key}]]\nname = "{host.name}"\naddress = "{host.address}"'
            if host.weight is not None:
                yield f"weight = {host.weight}"
    for vip in topology.vips:
        yield f'\n[[vips]]\naddress = "{vip.address}"'
        yield f"virtual_router_id = {vip.virtual_router_id}"
        pairs = ", ".join(f"{name} = {priority}" for name, priority in vip.priorities)
        yield f"priorities = {{ {pairs} }}"


def _with_hosts(made: Topology, values: Mapping[str, Any]) -> Topology:
    """The usual layout, with the hosts and VIPs that the file spells out in their place."""
    hosts: list[Host] = []
    groups = {"clients": made.clients, "directors": made.directors, "servers": made.servers}
    for key, usual in groups.items():
        given = values.get(key)
        hosts += [_host(row, ROLES[key]) for row in given] if isinstance(given, list) else usual
    made = replace(made, hosts=tuple(hosts))
    if isinstance(values.get("vips"), list):
        made = replace(made, vips=tuple(_vip(row) for row in values["vips"]))
    elif isinstance(values.get("directors"), list):
        names = [host.name for host in made.directors]
        alike = made.forwarding == "nat"
        plan = layout.default_plan(names, len(made.vips), alike=alike)
        made = replace(made, vips=layout.usual_vips(plan))
    return made


def _given(values: Mapping[str, Any]) -> list[tuple[str, type]]:
    return [(name, kind) for name, kind in SETTINGS.items() if name in values]


def _check_keys(values: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in values:
        if key not in known:
            raise UsageProblem(f"{where} has no {key!r}; it has {', '.join(sorted(known))}")


def _plain(value: Any, name: str, kind: type) -> Any:
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UsageProblem(f"{name}: expected {kind.__name__}, not {value!r}")
    return value


def _kernel(value: str) -> Kernel:
    try:
        return Kernel(value)
    except ValueError:
        raise UsageProblem(f"kernel is one of {', '.join(Kernel)}, not {value!r}") from None


def _kernel_images(value: Any, made: Topology) -> tuple[tuple[str, str], ...]:
    names = [host.name for host in made.directors]
    if isinstance(value, str):
        return images.parse(value, names)
    if isinstance(value, dict) and all(isinstance(image, str) for image in value.values()):
        return images.of_directors(value, names)
    raise UsageProblem('kernel_image: expected "VERSION" or a table of DIRECTOR = "VERSION"')


def _timeouts(value: Any) -> Timeouts:
    if not isinstance(value, list) or [type(number) for number in value] != [int] * 3:
        raise UsageProblem(f"timeouts: expected three numbers [tcp, tcpfin, udp], not {value!r}")
    tcp_s, tcpfin_s, udp_s = value
    return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)


def _sysctls(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(type(v) in (int, str) for v in value.values()):
        raise UsageProblem(f'sysctl: expected "NAME" = NUMBER, not {value!r}')
    return tuple((name, str(number)) for name, number in value.items())


def _count(value: Any, name: str) -> int:
    if type(value) is int:
        return value
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return len(value)
    raise UsageProblem(f"{name}: expected a number or tables, not {value!r}")


def _host(row: Mapping[str, Any], role: Role) -> Host:
    keys = {"name", "address"} | ({"weight"} if role is Role.SERVER else set())
    _check_keys(row, keys, f"a {role}")
    weight = _plain(row.get("weight", 1), "weight", int) if role is Role.SERVER else None
    name, address = (_plain(row.get(key), f"a {role}'s {key}", str) for key in ("name", "address"))
    return Host(name=name, role=role, address=address, weight=weight)


def _vip(row: Mapping[str, Any]) -> Vip:
    _check_keys(row, {field.name for field in fields(Vip)}, "a VIP")
    priorities = _plain(row.get("priorities"), "a VIP's priorities", dict)
    pairs = [(name, _plain(value, f"{name}'s priority", int)) for name, value in priorities.items()]
    return Vip(
        address=_plain(row.get("address"), "a VIP's address", str),
        virtual_router_id=_plain(row.get("virtual_router_id"), "virtual_router_id", int),
        priorities=tuple(sorted(pairs, key=lambda pair: -pair[1])),
    )
