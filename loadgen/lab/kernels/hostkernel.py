"""The machine's own kernel as the directors': each is a network namespace with IPVS in it.

Much faster than a kernel of its own, where the machine has ``ip_vs``. A director's process is the
first of PID, mount and UTS namespaces of its own, so its SIGKILL ends all that runs in it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.hosts import netfilter
from loadgen.lab.system.programs import environment, search_path
from loadgen.lab.topology.model import DIRECTOR_MEMORY_MB, Kernel, namespace

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Host, Topology

IPVS = Path("/proc/net/ip_vs")


def resolve(topology: Topology) -> Kernel:
    """The kernel to use: ``auto`` takes the machine's own where it will do.

    Raises:
        UsageProblem: the machine's kernel is wanted, and lacks what the lab needs.
    """
    if topology.kernel is Kernel.UML:
        return Kernel.UML
    lacking = None if topology.kernel is Kernel.HOST else _needs_own_kernel(topology)
    lacking = lacking or _lacking(topology)
    if lacking is None:
        return Kernel.HOST
    if topology.kernel is Kernel.AUTO:
        return Kernel.UML
    raise UsageProblem(f"kernel host: {lacking}; --kernel uml brings its own")


def load(topology: Topology) -> None:
    """Load the modules that a lab on the machine's kernel needs; those there are stay."""
    for module in _modules(topology):
        _modprobe(module)


def command(lab_name: str, host: Host, directory: Path) -> list[str]:
    """The command line of a director's process."""
    return [
        *("ip", "netns", "exec", namespace(lab_name, host.name)),
        *("unshare", "--mount", "--propagation", "slave", "--uts", "--pid", "--fork"),
        *("--kill-child", "--mount-proc"),
        *("sh", str(directory / host.name / "namespace.sh")),
    ]


def _needs_own_kernel(topology: Topology) -> str | None:
    """What only a kernel of its own can give, though the machine's has IPVS."""
    defaults = {
        "conn_tab_bits": None,
        "director_memory_mb": DIRECTOR_MEMORY_MB,
        "kernel_images": (),
    }
    for name, default in defaults.items():
        if getattr(topology, name) != default:
            return f"{name} can be set only for a kernel of its own"
    return None


def _lacking(topology: Topology) -> str | None:
    for module in _modules(topology):
        if module == "ip_vs" and IPVS.exists():
            continue
        if not (_is_there(module) or _modprobe(module, "--dry-run")):
            return f"this machine's kernel has no {module}"
    return None if topology.has_ipvs else _lacking_rules(topology)


def _lacking_rules(topology: Topology) -> str | None:
    """What keeps the rules from being set, tried in a namespace that ends at once.

    Modules that the rules need are loaded by that.
    """
    programs = {"nft.rules": "nft -f -", "iptables.rules": "iptables-legacy-restore"}
    programs["ip6tables.rules"] = "ip6tables-legacy-restore"
    for name, rules in netfilter.files(topology).items():
        words = programs[name].split()
        if shutil.which(words[0], path=search_path()) is None:
            return None  # the preflight names what is not installed
        if not _runs(["unshare", "--net", *words], rules):
            return f"this machine's kernel takes no rules of {topology.director_kind}"
    return None


def _modules(topology: Topology) -> list[str]:
    tunnel = ["ipip", *(["ip6_tunnel"] if topology.ipv6 else [])]
    if not topology.has_ipvs:
        return []
    return [
        "ip_vs",
        f"ip_vs_{topology.scheduler}",
        *(tunnel if topology.forwarding == "tun" else []),
        *(["macvlan"] if topology.use_vmac else []),
    ]


def _is_there(module: str) -> bool:
    return Path("/sys/module", module).exists()


def _modprobe(module: str, *flags: str) -> bool:
    """Whether modprobe was content."""
    return _runs(["modprobe", *flags, "--quiet", module])


def _runs(argv: list[str], text: str = "") -> bool:
    """Whether a program ends well."""
    try:
        done = subprocess.run(
            argv,
            input=text.encode(),
            capture_output=True,
            timeout=20,
            env=environment(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
