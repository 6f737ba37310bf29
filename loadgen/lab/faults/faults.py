"""Faults on a live lab, each by its one name, each an event with a time.

What a host could notice differs, and the names say it: ``link-down`` is the host's own interface
going down, which its kernel and keepalived see at once; ``unplug`` takes its port off the bridge,
and nobody is told, as when a switch fails. ``crash`` ends a kernel without a word. (Setting a tap
down on the machine's side would kill a User-Mode Linux's network card for good, and SIGSTOP the
whole kernel; so neither is used.)
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab import state
from loadgen.lab.faults import events
from loadgen.lab.faults.events import LabEvent
from loadgen.lab.hosts import control, nginx
from loadgen.lab.hosts.machine import ended_early, reap, start
from loadgen.lab.system import netns, wiring
from loadgen.lab.system.processes import of_session, stop
from loadgen.lab.system.programs import marked, run_program
from loadgen.lab.topology.model import INTERFACE, Role, namespace, port_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadgen.lab.running import RunningLab
    from loadgen.lab.topology.model import Host

BOOT_LIMIT_S = 20.0
LOOK_INTERVAL_S = 0.02

LINK_UP = f"ip link set {INTERFACE} up && ip -batch /run/lab/routes.batch"
KEEPALIVED_STOP = "stop_keepalived"
KEEPALIVED_START = "restart_keepalived"
KEEPALIVED_KILL = "kill_keepalived"
"""Functions of boot.sh."""
NGINX_STOP = "stop_nginx"


def inflict(lab: RunningLab, host_name: str, kind: str) -> LabEvent:
    """Do a fault to a host of a running lab, and write it down.

    Raises:
        UsageProblem: no such host or kind, or one that this host cannot have (now).
        RunFailed: it could not be done.
    """
    if kind not in FAULTS:
        raise UsageProblem(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
    host = lab.topology.host(host_name)
    with state.lock(lab.name, wait_s=BOOT_LIMIT_S), marked(lab.name):
        lab.refresh()
        _check(lab, host, kind)
        return recorded(lab, host.name, kind, lambda: FAULTS[kind](lab, host))


def recorded(lab: RunningLab, host_name: str, kind: str, act: Callable[[], str | None]) -> LabEvent:
    """Act, and write down when the order was given, how long it took and what it said."""
    at_ns, began_s = time.time_ns(), time.monotonic()
    detail = act()
    took = f"done in {(time.monotonic() - began_s) * 1000:.0f} ms"
    event = LabEvent(
        at=at_ns, host=host_name, kind=kind, detail=f"{detail}, {took}" if detail else took
    )
    events.append(lab.name, event)
    return event


def _check(lab: RunningLab, host: Host, kind: str) -> None:
    crashed = host.name in lab.state.crashed
    if kind in ("crash", "boot") and not lab.topology.has_sshd(host):
        raise UsageProblem(f"{host.name} has no kernel of its own to {kind}: unplug it instead")
    if crashed and kind not in ("boot", "unplug", "replug"):
        raise UsageProblem(f"{host.name} has crashed: boot it first")
    if kind == "boot" and not crashed:
        raise UsageProblem(f"{host.name} has not crashed")
    if kind.startswith("keepalived") and host.role is not Role.DIRECTOR:
        raise UsageProblem(f"{host.name} is no director: no keepalived runs there")
    if kind.startswith("keepalived") and lab.topology.vip_by == "static":
        raise UsageProblem("the VIPs of this lab are static: no keepalived runs in it")
    if kind.startswith("nginx") and host.role is not Role.SERVER:
        raise UsageProblem(f"{host.name} is no real server: no nginx runs there")


def _link_down(lab: RunningLab, host: Host) -> None:
    _on_host(lab, host, f"ip link set {INTERFACE} down")


def _link_up(lab: RunningLab, host: Host) -> None:
    if lab.topology.has_sshd(host):
        control.order(lab.directory / host.name, host.name, LINK_UP)
        return
    lines = [f"link set {INTERFACE} up", *wiring.route_lines(lab.topology, host)]
    netns.batch(f"link of {host.name}", lines, namespace=namespace(lab.name, host.name))


def _unplug(lab: RunningLab, host: Host) -> None:
    _bridge(lab, f"link set {port_name(host.name)} nomaster")


def _replug(lab: RunningLab, host: Host) -> None:
    _bridge(lab, f"link set {port_name(host.name)} master {wiring.BRIDGE}")


def _bridge(lab: RunningLab, line: str) -> None:
    netns.batch("bridge", [line], namespace=namespace(lab.name, wiring.HUB))


def _crash(lab: RunningLab, host: Host) -> None:
    process = lab.state.processes[host.name]
    stop(lambda: of_session(process.pid, lab.name), at_once=True)
    while process.is_alive:  # on its way out, with no memory left that would show its mark
        time.sleep(LOOK_INTERVAL_S)
    reap(process)
    if not lab.topology.has_own_kernel(host):  # its IPVS is in the namespace, and goes with it
        netns.remove([namespace(lab.name, host.name)])
    lab.remember(replace(lab.state, crashed=(*lab.state.crashed, host.name)))


def _boot(lab: RunningLab, host: Host) -> None:
    machines = lab.machines
    if not lab.topology.has_own_kernel(host):
        machines.make_namespaces([namespace(lab.name, host.name)])
        machines.write_sysctls(host)
        machines.make_port(host)
        machines.stop_offloads(host)
    machine = machines.machine(host)
    process = start(machine)
    deadline_s = time.monotonic() + BOOT_LIMIT_S
    while not machine.ready_file.exists():
        if not process.is_alive:
            raise ended_early(machine)
        if time.monotonic() > deadline_s:
            raise RunFailed(f"{host.name} has not booted after {BOOT_LIMIT_S:g} s")
        time.sleep(LOOK_INTERVAL_S)
    crashed = tuple(name for name in lab.state.crashed if name != host.name)
    processes = {**lab.state.processes, host.name: process}
    lab.remember(replace(lab.state, crashed=crashed, processes=processes))


def _keepalived_stop(lab: RunningLab, host: Host) -> None:
    _on_host(lab, host, KEEPALIVED_STOP)


def _keepalived_start(lab: RunningLab, host: Host) -> None:
    _on_host(lab, host, KEEPALIVED_START)


def _keepalived_kill(lab: RunningLab, host: Host) -> None:
    _on_host(lab, host, KEEPALIVED_KILL)


def _nginx_stop(lab: RunningLab, host: Host) -> None:
    if lab.topology.has_sshd(host):
        _on_host(lab, host, NGINX_STOP)
        return
    program, *words = nginx.PROGRAM
    argv = [program, "-p", f"{lab.directory / host.name}/", *words, "-s", "stop"]
    inside = ["ip", "netns", "exec", namespace(lab.name, host.name)]
    run_program(f"nginx on {host.name}", [*inside, *argv])


def _nginx_start(lab: RunningLab, host: Host) -> None:
    if lab.topology.has_sshd(host):
        _on_host(lab, host, "start_nginx")
        return
    nginx.start(host, lab.directory / host.name, namespace(lab.name, host.name))


def _on_host(lab: RunningLab, host: Host, script: str) -> None:
    """Run a line of shell on a host, not by the network that it may be about to lose."""
    if lab.topology.has_sshd(host):
        control.order(lab.directory / host.name, host.name, script)
    else:
        inside = ["ip", "netns", "exec", namespace(lab.name, host.name)]
        run_program(host.name, [*inside, "sh", "-c", script])


FAULTS: Mapping[str, Callable[[RunningLab, Host], None]] = {
    "link-down": _link_down,
    "link-up": _link_up,
    "unplug": _unplug,
    "replug": _replug,
    "crash": _crash,
    "boot": _boot,
    "keepalived-stop": _keepalived_stop,
    "keepalived-start": _keepalived_start,
    "keepalived-kill": _keepalived_kill,
    "nginx-stop": _nginx_stop,
    "nginx-start": _nginx_start,
}
"""Every fault by its name."""
