"""A shell that gives prepared answers: the boundary between us and a director."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from loadgen.director.links.client import DirectorClient
from loadgen.director.links.link import parse_link
from loadgen.director.links.shell import LinkLost, Shell, ShellAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICES = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80A02:0050 rr
  -> C0A80A16:0050      Route   1      3          25
  -> C0A80A15:0050      Route   1      0          24
TCP  C0A80A02:0051 rr
  -> C0A80A16:0051      Route   1      90         91
"""
ENTRIES_HEADER = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
FIN_WAIT = "TCP C0A80AFA 9C41 C0A80A02 0050 C0A80A15 0050 FIN_WAIT          9\n"
ESTABLISHED = "TCP C0A80AFA 9C41 C0A80A02 0050 C0A80A15 0050 ESTABLISHED     899\n"
OTHERS = "TCP C0A80AFA 9C42 C0A80A02 0051 C0A80A16 0051 FIN_WAIT         19\n"


NOTHING = "\0"  # no script has it


class FakeShell:
    """Answers one text after another; an error in their place is raised.

    Attributes:
        asked: the scripts that it was asked.
        used_up: set when the last text has been given; from then on nothing is answered.
        refusals: how many times ``open`` still fails.
        lost_by: the link is lost once, by a script with this word in it.
        answers_by_word: what it answers to a script with this word in it, at any time.
    """

    def __init__(self, *texts: str | LinkLost | Callable[[str], str]) -> None:
        self.link = parse_link("ssh://root@bal01")
        self.asked: list[str] = []
        self.used_up = asyncio.Event()
        self.opened = 0
        self.closed = 0
        self.refusals = 0
        self.answers_by_word = {"boot_id": "", "--stats": ""}
        self.lost_by = NOTHING
        self.texts = list(texts)

    async def open(self) -> None:
        self.opened += 1
        if self.refusals:
            self.refusals -= 1
            raise LinkLost("still gone")

    async def ask(self, script: str, *, timeout_s: float, most_bytes: int = 0) -> ShellAnswer:
        assert timeout_s > 0
        if self.lost_by in script:
            self.lost_by = NOTHING
            raise LinkLost("lost between two polls")
        other = next((said for word, said in self.answers_by_word.items() if word in script), None)
        if other is not None:
            return ShellAnswer(content=other.encode(), asked_ns=0, answered_ns=0)
        self.asked.append(script)
        if not self.texts:
            self.used_up.set()
            await asyncio.Event().wait()
        text = self.texts[0] if callable(self.texts[0]) else self.texts.pop(0)
        if isinstance(text, LinkLost):
            raise text
        asked_ns = time.time_ns()
        said = text(script) if callable(text) else text
        return ShellAnswer(
            content=said.encode(), asked_ns=asked_ns, answered_ns=asked_ns + 2_000_000
        )

    async def close(self) -> None:
        self.closed += 1

    @property
    def client(self) -> DirectorClient:
        """A client that polls through it; it has no sed, so each poll is one question."""
        return DirectorClient(self.link, cast("Shell", self))
