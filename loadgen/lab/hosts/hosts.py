"""A lab's hosts as objects: ``lab.client.run(...)``, ``lab.directors["bal01"].link_down()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.faults import changes
from loadgen.lab.faults.faults import inflict

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from loadgen.lab.faults.events import LabEvent
    from loadgen.lab.running import RunningLab


class LabHost:
    """One host of a running lab: run commands on it, and do it harm."""

    def __init__(self, lab: RunningLab, name: str) -> None:
        self.lab = lab
        self.name = name

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.lab.topology.host(self.name).address

    @property
    def address6(self) -> str:
        """Its IPv6 address, in a lab with ``ipv6``."""
        return self.lab.topology.host(self.name).address6

    def run(
        self, *argv: str, text: str = "", limit_s: float = 30.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there and collect what it prints; ``text`` is its standard input.

        Raises:
            subprocess.CalledProcessError: ``check``, and its exit code is not 0.
            subprocess.TimeoutExpired: it took longer than ``limit_s``.
        """
        return self.lab.run(self.name, argv, text=text, limit_s=limit_s, check=check)

    def output(self, *argv: str) -> str:
        """What a command there prints on its standard output."""
        return self.run(*argv).stdout

    def command(self, *argv: str) -> Sequence[str]:
        """The command line that runs ``argv`` there, for ``subprocess.Popen``."""
        return self.lab.command(self.name, argv)

    def fault(self, kind: str) -> LabEvent:
        """Do a fault by its name, such as ``link-down``."""
        return inflict(self.lab, self.name, kind)

    def link_down(self) -> LabEvent:
        """Take its interface down, as an operator would: the host notices."""
        return self.fault("link-down")

    def link_up(self) -> LabEvent:
        """Take its interface up again."""
        return self.fault("link-up")

    def unplug(self) -> LabEvent:
        """Take its port off the bridge, without a link-down event anywhere."""
        return self.fault("unplug")

    def replug(self) -> LabEvent:
        """Put its port back."""
        return self.fault("replug")

    def delay(self, seconds: float | None) -> LabEvent:
        """Delay what it sends; None or 0 ends it."""
        return changes.shape(self.lab, self.name, "delay", delay_s=seconds or None)

    def loss(self, share: float | None) -> LabEvent:
        """Lose a share (0 to 1) of what it sends; None or 0 ends it."""
        return changes.shape(self.lab, self.name, "loss", loss=share or None)

    def rate(self, bits_per_s: float | None) -> LabEvent:
        """Limit its link in both directions; None or 0 ends it."""
        return changes.shape(self.lab, self.name, "rate", rate_bps=bits_per_s or None)

    def inward_rate(self, bits_per_s: float | None) -> LabEvent:
        """Limit what it receives, and let it send as it likes; None or 0 ends it."""
        return changes.shape(self.lab, self.name, "inward-rate", inward_bps=bits_per_s or None)


class LabMachine(LabHost):
    """A host that is a process of its own, so that it can crash."""

    def crash(self) -> LabEvent:
        """End it without a word."""
        return self.fault("crash")

    def boot(self) -> LabEvent:
        """Start it again after a crash; it has booted when this returns."""
        return self.fault("boot")


class Director(LabMachine):
    """A host whose kernel runs IPVS, or translates addresses."""

    def keepalived_stop(self) -> LabEvent:
        """End keepalived by SIGTERM: it says goodbye."""
        return self.fault("keepalived-stop")

    def keepalived_start(self) -> LabEvent:
        """Start keepalived again."""
        return self.fault("keepalived-start")

    def keepalived_kill(self) -> LabEvent:
        """End keepalived by SIGKILL: the VIP stays, and no priority 0 is sent."""
        return self.fault("keepalived-kill")

    def services(self) -> str:
        """The text of /proc/net/ip_vs."""
        return self.output("cat", "/proc/net/ip_vs")

    def entries(self) -> str:
        """The text of /proc/net/ip_vs_conn; without IPVS of /proc/net/nf_conntrack."""
        has_ipvs = self.lab.topology.has_ipvs
        return self.output("cat", f"/proc/net/{'ip_vs_conn' if has_ipvs else 'nf_conntrack'}")

    def holds(self, vip: str) -> bool:
        """Whether it has the address now."""
        return f" {vip}/" in self.output("ip", "-o", "addr", "show")


class Server(LabMachine):
    """A real server; crash and boot are for those with a kernel of their own (tun)."""

    def nginx_stop(self) -> LabEvent:
        """End its nginx."""
        return self.fault("nginx-stop")

    def nginx_start(self) -> LabEvent:
        """Start its nginx again."""
        return self.fault("nginx-start")

    def set_weight(self, weight: int) -> LabEvent:
        """Its weight on every director."""
        return changes.set_weight(self.lab, self.name, weight)
