"""Changes to a live lab that are no faults: a real server's weight, a slower or lossy link."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab import state
from loadgen.lab.faults.faults import recorded
from loadgen.lab.hosts import control, guest
from loadgen.lab.system import wiring
from loadgen.lab.system.programs import marked, run_program
from loadgen.lab.topology.layout import with_weight
from loadgen.lab.topology.model import INTERFACE, Role, namespace, port_name

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.lab.faults.events import LabEvent
    from loadgen.lab.running import RunningLab
    from loadgen.lab.topology.model import Host

MAX_WEIGHT = 65535
LOCK_WAIT_S = 20.0
SHAPES_FILE = "shapes.json"
MIN_BURST_BYTES = 15_000
"""Of a token bucket: ten full frames."""
LATENCY_S = 0.05
"""What waits for a token bucket's rate waits at most so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a host's link does to packets; None where nothing.

    ``rate_bps`` holds for both directions, ``inward_bps`` for what the host receives, ``delay_s``
    and ``loss`` (a share, 0 to 1) for what it sends.
    """

    delay_s: float | None = None
    loss: float | None = None
    rate_bps: float | None = None
    inward_bps: float | None = None

    @property
    def needs_netem(self) -> bool:
        """Whether tc-netem(8) is needed: only a kernel that has it can do these."""
        return bool(self.delay_s or self.loss)


def set_weight(lab: RunningLab, server: str, weight: int) -> LabEvent:
    """Give a real server another weight on every running director; a reboot keeps it.

    Raises:
        UsageProblem: no real server of that name, or no weight.
        RunFailed: a director did not do it.
    """
    host = lab.topology.host(server)
    if host.role is not Role.SERVER:
        raise UsageProblem(f"{server} is no real server")
    if not 0 <= weight <= MAX_WEIGHT:
        raise UsageProblem(f"a weight is 0 to {MAX_WEIGHT}, not {weight}")
    with state.lock(lab.name, wait_s=LOCK_WAIT_S), marked(lab.name):
        lab.refresh()
        if not lab.topology.has_ipvs:
            kind = lab.topology.director_kind
            raise UsageProblem(f"weights are IPVS's: behind directors by {kind} servers take turns")
        return recorded(lab, server, "weight", lambda: _set_weight(lab, server, weight))


def shape(lab: RunningLab, host_name: str, kind: str, **change: float | None) -> LabEvent:
    """Change one thing about a host's link; the others stay.

    Raises:
        UsageProblem: no such host, or this kernel lacks the queue discipline.
    """
    host = lab.topology.host(host_name)
    with state.lock(lab.name, wait_s=LOCK_WAIT_S), marked(lab.name):
        lab.refresh()
        return recorded(lab, host_name, kind, lambda: _shape(lab, host, change))


def _set_weight(lab: RunningLab, server: str, weight: int) -> str:
    changed = with_weight(lab.topology, server, weight)
    edits = [
        rule.replace("-a ", "-e ", 1)
        for rule in guest.ipvs_rules(changed)
        if rule.startswith("-a ") and _is_of(changed.host(server), rule)
    ]
    for director in lab.topology.directors:
        share = lab.directory / director.name
        _rewrite(share / "ipvs.rules", "".join(f"{r}\n" for r in guest.ipvs_rules(changed)))
        if director.name not in lab.state.crashed:
            _rewrite(share / "weight.rules", "".join(f"{rule}\n" for rule in edits))
            control.order(share, director.name, "ipvsadm -R </run/lab/weight.rules")
    lab.remember(replace(lab.state, topology=changed))
    return str(weight)


def _is_of(server: Host, rule: str) -> bool:
    return f" -r {server.address}:" in rule or f" -r [{server.address6}]:" in rule


def _rewrite(path: Path, text: str) -> None:
    """In place: a guest's hostfs may hold the file's inode."""
    path.write_text(text)


def _shape(lab: RunningLab, host: Host, change: dict[str, float | None]) -> str:
    path = lab.directory / SHAPES_FILE
    shapes = json.loads(path.read_text()) if path.exists() else {}
    shape = replace(Shape(**shapes.get(host.name, {})), **change)
    if host.name in lab.state.crashed:
        raise UsageProblem(f"{host.name} has crashed: boot it first")
    inside = _inside_command(shape)
    _tc_inside(lab, host, inside)
    _tc_towards(lab, host, shape)
    path.write_text(json.dumps({**shapes, host.name: asdict(shape)}))
    return ", ".join(f"{name} {value:g}" for name, value in change.items() if value) or "off"


def _inside_command(shape: Shape) -> str:
    """What the host's own end does to what it sends."""
    if shape.needs_netem:
        words = [f"delay {shape.delay_s * 1000:g}ms"] if shape.delay_s else []
        words += [f"loss {shape.loss * 100:g}%"] if shape.loss else []
        words += [f"rate {shape.rate_bps:.0f}bit"] if shape.rate_bps else []
        return f"tc qdisc replace dev {INTERFACE} root netem limit 10000 {' '.join(words)}"
    if shape.rate_bps:
        return f"tc qdisc replace dev {INTERFACE} root {_bucket(shape.rate_bps)}"
    return f"tc qdisc del dev {INTERFACE} root 2>/dev/null || :"


def bucket_bytes(rate_bps: float) -> int:
    """What may pass at once on a link of that rate."""
    return max(MIN_BURST_BYTES, int(rate_bps / 8 / 100))  # a kernel of HZ 100 looks each 10 ms


def queue_bytes(rate_bps: float) -> int:
    """What may wait on a link of that rate: tc-tbf(8) adds the bucket to the latency's worth."""
    return int(rate_bps / 8 * LATENCY_S) + bucket_bytes(rate_bps)


def _bucket(rate_bps: float) -> str:
    burst, latency_ms = bucket_bytes(rate_bps), LATENCY_S * 1000
    return f"tbf rate {rate_bps:.0f}bit burst {burst} latency {latency_ms:g}ms"


def _tc_inside(lab: RunningLab, host: Host, script: str) -> None:
    try:
        if lab.topology.has_sshd(host):
            control.order(lab.directory / host.name, host.name, script)
        else:
            inside = ["ip", "netns", "exec", namespace(lab.name, host.name)]
            run_program(host.name, [*inside, "sh", "-c", script])
    except RunFailed as error:
        if "qdisc kind is unknown" in str(error) or "No such file" in str(error):
            what = "netem" if "netem" in script else "tbf"
            whose = "its kernel" if lab.topology.has_own_kernel(host) else "this machine's kernel"
            raise UsageProblem(
                f"{host.name}: {whose} has no queue discipline {what}, which this needs"
            ) from error
        raise


def _tc_towards(lab: RunningLab, host: Host, shape: Shape) -> None:
    """The bridge's end does the other direction of a rate."""
    port = port_name(host.name)
    hub = ["ip", "netns", "exec", namespace(lab.name, wiring.HUB)]
    rates_bps = [rate for rate in (shape.rate_bps, shape.inward_bps) if rate]
    if rates_bps:
        words = f"qdisc replace dev {port} root {_bucket(min(rates_bps))}".split()
        run_program(f"rate of {host.name}", [*hub, "tc", *words])
        return
    script = f"tc qdisc del dev {port} root 2>/dev/null || :"
    run_program(f"rate of {host.name}", [*hub, "sh", "-c", script])
