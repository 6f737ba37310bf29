"""The finding about source ports of a director that are also ports of its services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.findings.examples import Examples
from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.states import Flag
from analyzer.observed.masquerades import earliest
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.findings.figures import Figures
    from analyzer.measured import Measured
    from analyzer.wire.segments import Segments

NODE_PORTS = range(30_000, 32_768)
"""kube-proxy's default (``--service-node-port-range`` of kube-apiserver)."""

_END = ["protocol", "address", "port"]


def node_port_collision(figures: Figures) -> Finding | None:
    """Connections from a director's own address and a port that a service has there."""
    found = [sentence for result in figures.by_conntrack for sentence in _of(figures, result)]
    if not found:
        return None
    answered = any(_reset(result).flows for result in figures.by_conntrack)
    return Finding(
        id="node-port-collision",
        severity="problem" if answered else "warning",
        title="Connections leave the director from the port of a service of its own",
        evidence=" ".join(found),
        advice="While conntrack has such a connection its packets are told from the service's. "
        "Once that entry has expired, the next packet of the other side is taken for the service: "
        "it is sent to a real server, which resets it. Keep net.ipv4.ip_local_port_range (32768 to "
        "60999 by default) and masquerade ranges apart from the NodePort range, or list the ports "
        "in net.ipv4.ip_local_reserved_ports (which masquerade does not heed).",
    )


def _of(figures: Figures, result: Measured) -> Iterable[str]:
    yield from _opened_here(figures, result)
    yield from _masqueraded(figures, result)


def _opened_here(figures: Figures, result: Measured) -> Iterable[str]:
    """Connections that the capture shows to begin at the service's own end."""
    if result.passage is None or figures.evidence is None:
        return
    such, ports = Examples(), set[int]()
    for part in _opened_parts(result):
        such = such.with_rows(part.flow, part.at_ns)
        ports.update(result.passage.segments.flows["port"].iloc[np.unique(part.flow)].tolist())
    if not such.flows:
        return
    reset = _reset(result)
    yield (
        f"{such.flows:,} connection{'s' * (such.flows > 1)} began at {result.director.name}'s end "
        f"of the service ({_ports(sorted(ports))}), between {figures.ends(such)} "
        f"({figures.when(such)})."
        + (
            f" {reset.flows:,} of them ended with a reset from there: {figures.ends(reset)}."
            if reset.flows
            else " None was seen to be reset from there."
        )
    )


def _reset(result: Measured) -> Examples:
    """Connections that the director opened and that were then reset at the service's end."""
    such = Examples()
    for part in _opened_parts(result):
        such = such.with_rows(part.flow[(part.flag == Flag.RST) & ~part.to_vip])
    return such


def _opened_parts(result: Measured) -> Iterator[Segments]:
    """The segments of connections that the director opened, part by part."""
    if result.untracked is None or result.passage is None:
        return
    segments, opened = result.passage.segments, result.untracked.opened_here
    for rows, part in zip(segments.cuts(), segments.parts(), strict=False):
        if opened[rows].any():
            yield part.only(opened[rows])


def _masqueraded(figures: Figures, result: Measured) -> Iterable[str]:
    """Masqueraded connections whose source is the address and port of a service that was seen."""
    assert figures.evidence is not None
    name = result.director.name
    record, n, row, ports = figures.evidence.by_director[name], 0, None, set[int]()
    ends = record.services[["protocol", "vip", "port"]].drop_duplicates()
    ends = ends.set_axis(_END, axis="columns")
    for rows in result.hidden:
        sources = rows[["protocol", "source_ip", "source_port"]].set_axis(_END, axis="columns")
        both = sources.merge(ends, on=_END, how="left", indicator=True)["_merge"].eq("both")
        same = rows[both.to_numpy()]
        n, row = n + len(same), earliest(same, row)
        ports.update(same["source_port"].tolist())
    if row is None:
        return
    yield (
        f"{n:,} masqueraded connection{'s' * (n > 1)} left {name} from the end of "
        f"a service ({_ports(sorted(ports))}): "
        f"{host_port(row['client_ip'], row['client_port'])} as "
        f"{host_port(row['source_ip'], row['source_port'])}."
    )


def _ports(ports: list[int]) -> str:
    shown = ", ".join(str(port) for port in ports[:5]) + (" and more" if len(ports) > 5 else "")
    inside = [port for port in ports if port in NODE_PORTS]
    of_range = f", in Kubernetes' NodePort range {NODE_PORTS[0]}-{NODE_PORTS[-1]}" if inside else ""
    return f"port {shown}{of_range}"
