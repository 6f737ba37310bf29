"""Remove a lab, or whatever a killed one left: processes, namespaces, mounts, files.

What is there is found by looking, not by what a state file says, so it does not matter how far
``lab up`` had come or who killed what since.
"""

from __future__ import annotations

from functools import partial

from loadgen.lab import state
from loadgen.lab.system import netns, processes
from loadgen.lab.topology.model import lab_of_namespace


def take_down(lab_name: str) -> bool:
    """Leave nothing of the lab; other labs are not touched. The caller holds the lab's lock.

    Returns:
        Whether anything was there.

    Raises:
        RunFailed: a process outlives SIGKILL.
    """
    any_removed = state.directory(lab_name).exists()
    networks: set[processes.NamespaceId] = set()
    find = partial(processes.of_lab, lab_name, networks)
    while True:
        names = namespaces_of(lab_name)
        networks.update(network for network in map(netns.identity, names) if network)
        stopped = processes.stop(find)
        netns.remove(names)
        if not names and not stopped:  # an `ip` of a killed `up` may have added one meanwhile
            break
        any_removed = True
    state.remove(lab_name)
    netns.remove_mount_point()
    return any_removed


def namespaces_of(lab_name: str) -> list[str]:
    """Namespaces that carry the lab's name."""
    return [name for name in netns.names() if lab_of_namespace(name) == lab_name]
