"""What ``ipvsadm``, the shell and the kernel's tools say when there is no table to print."""

from __future__ import annotations

import re

_WHOLE_LINES = (
    "Service already exists",
    "Scheduler or persistence engine not found",
    "No such service",
    "Service not defined",
    "Destination already exists",
    "No such destination",
    "Daemon has already run",
    "No daemon is running",
    "Permission denied (you must be root)",
    "Invalid operation.  Possibly wrong module version, address not unicast, ...",
    "Protocol not available",
    "Memory allocation problem",
    "Operation not supported with IPv6",
    "Operation not supported with specified address family",
    "Module is wrong version",
    "No such device",
    "options conflicts in the list command",
    "Zero port specified for non-persistent service",
    "One-Packet Scheduling is only for UDP virtual services",
    "Different address family is allowed only for tunneling servers",
    "Tunnel options conflict with forward method",
    "--set option requires 3 timeout values",
    "-6 used before -f",
    "Operation not permitted",
)
"""``ipvs_strerror``, and what ipvsadm takes from the C library."""

_ERROR = re.compile(
    "|".join(
        (
            *(re.escape(text) + r"\.?" for text in _WHOLE_LINES),
            r"Can't initialize ipvs: .*",
            r"Are you sure that IP Virtual Server is built in the kernel or as module\?",
            r"(?:.*\s)?ipvsadm: (?:command )?not found.*",
            r"Command 'ipvsadm' not found.*",
            r"(?:\S+: )?(?:FATAL: )?.*Module ip_vs\S* not found.*",
            r"(?:cannot open file|unexpected input from) /proc/net/ip_vs\w*",
            r"\S{0,64}(?:ipvsadm|cat|sudo|bash|sh|less|head|tail|ssh|setpriv|modprobe)\S{0,64}: .*",
            r"(?:illegal|invalid) .{1,60} specified",
            r"(?:invalid|incompatible) (?:option|scheduler flag) .*",
            r"(?:You need to supply the|Illegal|The option|multiple) '.*",
            r"multiple commands specified",
            r"unexpected argument \S+",
            r"Try .?ipvsadm -h.*",
            r".*: Permission denied(?: \(.*\))?\.?",
            r".*: No such file or directory",
        )
    )
)
MAX_LINES = 20


def is_error(text: str) -> bool:
    """Whether a line is a tool's error."""
    return bool(_ERROR.fullmatch(text))
