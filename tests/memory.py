"""Memory of processes, as proc(5) has it."""

from __future__ import annotations

from pathlib import Path


def memory_bytes(what: str, process: int | str = "self") -> int:
    """A line of a process' status: ``VmRSS`` is what it has now, ``VmHWM`` the most it had."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) << 10


def forget_peak() -> None:
    """This process' ``VmHWM`` begins anew."""
    Path("/proc/self/clear_refs").write_text("5")
