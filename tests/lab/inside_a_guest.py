"""Run by the kernel that test_lab_hostkernel.py boots: labs on that kernel, and what was seen."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.lab import report
from loadgen.lab.lab import Lab
from loadgen.lab.takedown import namespaces_of
from loadgen.lab.topology.layout import lay_out
from tests.lab.ask_links import ask_all

if TYPE_CHECKING:
    from collections.abc import Callable

VIP = "192.168.10.2"
GET = "for i in 1 2 3 4; do curl -s -m 5 192.168.10.2; done"


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold in time."""
    deadline_s = time.monotonic() + 12
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


def with_keepalived() -> dict[str, Any]:
    """A lab that comes up, loses its master, gets it back, and goes."""
    with Lab(lay_out(), name="k") as lab:
        first, second = lab.directors["bal01"], lab.directors["bal02"]
        status = report.inspect("k")
        document: dict[str, Any] = {
            "kernel": status.kernel,
            "text": report.to_lines(status)[0],
            "holder": status.vip_holder,
            "hostname": first.output("hostname").strip(),
            "answers": lab.client.output("sh", "-c", GET).split(),
            "table": first.output("ipvsadm", "-Ln"),
            "other_table": second.output("ipvsadm", "-Ln"),
            "machine_table": Path("/proc/net/ip_vs").read_text(),
        }
        first.crash()
        document["taken_over"] = until(lambda: second.holds(VIP))
        document["damage"] = lab.damage()
        document["answers_after"] = lab.client.output("sh", "-c", GET).split()
        first.boot()
        document["taken_back"] = until(lambda: first.holds(VIP) and not second.holds(VIP))
        document["old_entries"] = first.entries().count("TCP")
    return document | {"left": namespaces_of("k")}


def static(forwarding: str) -> dict[str, Any]:
    """A lab of another way of forwarding."""
    with Lab(lay_out(forwarding=forwarding, vip_by="static"), name="k") as lab:
        answers = lab.client.output("sh", "-c", GET).split()
        lines = lab.directors["bal01"].entries().splitlines()[1:]
        states = sorted({line.split()[7] for line in lines})
        return {"kernel": lab.state.kernel, "answers": answers, "states": states}


if __name__ == "__main__":
    seen = with_keepalived() | {name: static(name) for name in ("nat", "tun")}
    scratch = Path(os.environ["TMPDIR"], "links")
    scratch.mkdir()
    seen["links"] = ask_all(scratch)  # the last, as it goes to the director's namespace
    json.dump(seen, sys.stdout)
