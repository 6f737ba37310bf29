"""Before the first packet: what this machine and the directors can hold, beside what is asked.

``means`` refuses what cannot begin; ``facts`` are read, and ``table`` sets them beside the plan, a
line for each thing that may run out; ``ports`` are its first two lines.
"""

from loadgen.load.preflight.facts import DirectorTable, HostLimits, PreflightLine, read_host
from loadgen.load.preflight.requirements import check_consent, check_means
from loadgen.load.preflight.table import as_text, preflight

__all__ = [
    "DirectorTable",
    "HostLimits",
    "PreflightLine",
    "as_text",
    "check_consent",
    "check_means",
    "preflight",
    "read_host",
]
