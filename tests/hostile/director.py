"""A director that means ill, or is only very large: the shell behind a link, played.

``python tests/hostile/director.py MODE`` answers what loadgen asks of a director's shell. It has no
sed, so each poll is one question. ``SERVICES`` and ``SERVERS`` in the environment say how many it
has (of real servers: each service), and ``IPV6=1`` that they are of IPv6.

good: as it should be. huge: 24 MB of ``--stats``. line: 100 MB without an end of line. slow: a
second before each answer. stderr: 200 kB of complaints with each answer. bigint: numbers that no
kernel counts. escape: sequences that a terminal would obey, commands that a pipeline would.
garbage: random bytes.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time

SERVICES = int(os.environ.get("SERVICES", "2"))
SERVERS = int(os.environ.get("SERVERS", "2"))
IPV6 = os.environ.get("IPV6") == "1"
BIG = ("18446744073709551615", "-1", "9" * 30)
ESCAPES = "\x1b[2J\x1b]0;owned\x07::stop-commands::x"
PLAUSIBLE = "IP Virtual Server version 1.2.1 (size=4096)\n"
TITLES = (
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
)
STATS_TITLES = (
    "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
    "  -> RemoteAddress:Port\n"
)
ENTRIES_TITLE = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
WHO = "@kernel\n6.12.0-hostile\n@macs\n02:00:00:00:00:01\n@entry\n@table\n@ip_vs\n"
SETTINGS = (
    "@timeouts\nTimeout (tcp tcpfin udp): 900 120 300\n@daemon\n@sysctl\n@addresses\n"
    "@keepalived\n@end\n"
)
MARKING = re.compile(r"echo (\S)''(\S+)\n")


class Director:
    """What it says to each question."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.asked = 0
        self.dice = random.Random(1)

    def answer(self, script: str) -> bytes:
        """What a line of shell prints."""
        if "echo @kernel" in script:
            return (WHO + self.services()).encode()
        if "boot_id" in script:
            return b"boot=11111111-2222-3333-4444-555555555555\n"
        if "echo @timeouts" in script:
            return SETTINGS.encode()
        if "--timeout" in script:
            return SETTINGS[10:52].encode()
        if "--stats" in script:
            return self.said(self.stats())
        if "/proc/uptime" in script and "cat" in script:
            entries = ENTRIES_TITLE if "ip_vs_conn" in script else ""
            return self.said(f"{uptime_s():.2f} 1.00\n{self.services()}{entries}")
        return b""

    def said(self, text: str) -> bytes:
        """An answer as this director gives it."""
        self.asked += 1
        if self.mode == "line" and self.asked % 2:
            return text.encode() + b"x" * 100_000_000
        if self.mode == "garbage":
            return self.dice.randbytes(100_000)
        if self.mode == "slow":
            time.sleep(1.0)
        if self.mode == "stderr":
            sys.stderr.write("a complaint\n" * 17_000)
            sys.stderr.flush()
        return text.encode()

    def services(self) -> str:
        """``/proc/net/ip_vs``."""
        scheduler = ESCAPES if self.mode == "escape" else "wlc"
        lines = [PLAUSIBLE, TITLES]
        for i in range(SERVICES):
            lines.append(f"TCP  {kernel_end(1, i)} {scheduler} \n")
            for j in range(SERVERS):
                active = BIG[i % 3] if self.mode == "bigint" and j == 0 else f"{self.count(i, j)}"
                lines.append(f"  -> {kernel_end(2, i, j)}      Route   1      {active:<10} 0\n")
        return "".join(lines)

    def stats(self) -> str:
        """``ipvsadm -Ln --stats --exact``."""
        lines = [PLAUSIBLE, STATS_TITLES]
        for i in range(SERVICES):
            lines.append(f"TCP  {end(1, i)} 1 2 3 4 5\n")
            for j in range(SERVERS):
                conns = BIG[i % 3] if self.mode == "bigint" and j == 0 else f"{self.count(i, j)}"
                lines.append(f"  -> {end(2, i, j)} {conns:>8} 2 0 4 0\n")
        if self.mode == "huge":
            lines.append("  -> 10.9.9.9:80 1 2 3 4 5\n" * (24_000_000 // 27))
        return "".join(lines)

    def count(self, service: int, server: int) -> int:
        """A count that moves a little from poll to poll, of one real server in ten."""
        return 7 + service % 50 + (self.asked if (service + server) % 10 == 0 else 0)


def uptime_s() -> float:
    """Of the machine that it runs on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def octets(net: int, service: int, server: int) -> tuple[int, int, int, int]:
    """The address of a service (net 1) or of a real server of it."""
    return 10, net * 16 + service // 2500, service // 10 % 250, service % 10 * 25 + server + 1


def end(net: int, service: int, server: int = 0) -> str:
    """As ipvsadm prints it."""
    parts = octets(net, service, server)
    if IPV6:
        return f"[fd00::{parts[1]:x}:{parts[2]:x}:{parts[3]:x}]:80"
    return f"{'.'.join(map(str, parts))}:80"


def kernel_end(net: int, service: int, server: int = 0) -> str:
    """As the kernel prints it."""
    parts = octets(net, service, server)
    if IPV6:
        groups = ("fd00", *["0000"] * 4, *(f"{part:04x}" for part in parts[1:]))
        return f"[{':'.join(groups)}]:0050"
    return f"{bytes(parts).hex().upper()}:0050"


def main() -> None:
    """Answer until there are no more questions."""
    director = Director(sys.argv[1])
    for line in sys.stdin:
        marking = MARKING.fullmatch(line)
        content = f"{marking[1]}{marking[2]}\n".encode() if marking else director.answer(line)
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os._exit(1)


if __name__ == "__main__":
    main()
