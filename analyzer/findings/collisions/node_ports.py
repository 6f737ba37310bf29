"""The finding about source ports of a director that are also ports of its services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.states import Flag
from analyzer.observed.masquerades import earliest
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analyzer.arrays import Bools, Ints
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
    answered = any(len(_reset(result)) for result in figures.by_conntrack)
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
    segments = result.passage.segments
    flows, at_ns = _of_opened(result, _any)
    if not len(flows):
        return
    ports = sorted(set(segments.flows["port"].iloc[flows].tolist()))
    reset = _reset(result)
    yield (
        f"{len(flows):,} connection{'s' * (len(flows) > 1)} began at {result.director.name}'s end "
        f"of the service ({_ports(ports)}), between {figures.ends(flows)} "
        f"({figures.when(at_ns)})."
        + (
            f" {len(reset):,} of them ended with a reset from there: {figures.ends(reset)}."
            if len(reset)
            else " None was seen to be reset from there."
        )
    )


def _reset(result: Measured) -> Ints:
    """Flows that the director opened and that were then reset at the service's end."""
    return _of_opened(result, lambda part: (part.flag == Flag.RST) & ~part.to_vip)[0]


def _any(part: Segments) -> Bools:
    return np.ones(len(part.flow), dtype=bool)


def _of_opened(result: Measured, wanted: Callable[[Segments], Bools]) -> tuple[Ints, list[int]]:
    """The flows of wanted segments of connections that the director opened, ascending.

    And the first and the last instant of these segments, if there are any.
    """
    found, ends_ns = [np.zeros(0, dtype=np.int64)], list[int]()
    if result.untracked is None or result.passage is None:
        return found[0], ends_ns
    segments = result.passage.segments
    for rows, part in zip(segments.cuts(), segments.parts(), strict=False):
        chosen = result.untracked.opened_here[rows] & wanted(part)
        if chosen.any():
            found.append(np.unique(part.flow[chosen]))
            at_ns = part.at_ns[chosen]
            ends_ns += [int(at_ns.min()), int(at_ns.max())]
    return np.concatenate(found), ends_ns


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
