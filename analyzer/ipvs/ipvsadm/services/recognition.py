"""Which lines are a virtual service's, readable or not, and who printed them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from analyzer.ipvs.ipvsadm.ends import PLAIN_ENDS, TABLE_CUT
from analyzer.ipvs.ipvsadm.services import columns as cols

if TYPE_CHECKING:
    from analyzer.ipvs.ipvsadm.ends import Notation
    from analyzer.ipvs.ipvsadm.lines import Line

PROTOCOLS: Final = frozenset({"TCP", "UDP", "SCTP", "FWM", "MATCH"})
OTHER_PROTOCOLS: Final = frozenset({"IP", "ICMP", "ICMPv6", "AH", "ESP"})
SCHEDULERS: Final = frozenset(
    "rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos none conhash".split()  # noqa: SIM905
)
LONGEST_PROTOCOL = 10
MARK: Final = re.compile(r"-?[0-9]{1,10}|[0-9A-F]{8}")
EIGHT_DIGITS: Final = re.compile(r"[0-9A-F]{8}")
"""As the kernel prints a mark, or persistence's netmask."""

_SCHEDULER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,15}")
_CLOCK = re.compile(r"-?[0-9]+:-?[0-9]{2}")
_ANY_SCHEDULER = "|".join(sorted(SCHEDULERS))
_TAIL = re.compile(  # a scheduler and flags, or the counters of --stats
    rf" (?:{_ANY_SCHEDULER})(?: (?:ops|(?:pe|persistent|mask) \S+|\([^)]*\)"
    r"|[0-9A-F]{8}))*$|(?: [0-9]+[KMGT]?){5}$"
)
_NUMBER = "[0-9]{1,9}"  # possible in any column
PLAIN: Final = re.compile(
    rf" *(TCP|UDP|SCTP) +"
    rf"({PLAIN_ENDS}|(?!Local|Remote|{_CLOCK.pattern} )[0-9A-Za-z\[][!-~]{{2,}}:[!-~]+)"
    rf" +(?:({_ANY_SCHEDULER})|({_NUMBER}(?: +{_NUMBER}){{4}})) *"
)
"""A service in which nothing but its end can be in doubt.

The groups are the protocol, the end, the four of ``PLAIN_ENDS``, and the scheduler or the counters.
"""


def is_service(words: list[str]) -> bool:
    """Whether a line is a virtual service's, readable or not; prose about TCP is none."""
    if len(words) < 2:
        return False
    protocol, end, *rest = words
    scheduled = bool(rest) and rest[0] in SCHEDULERS
    if protocol == "FWM":
        return scheduled or bool(MARK.fullmatch(end))
    if protocol == "MATCH":
        return scheduled or "=" in end
    if protocol in PROTOCOLS or protocol in OTHER_PROTOCOLS:
        return _is_end(end) and (not rest or ":" in end or _is_plausible(rest))
    return scheduled and _is_end(end) and len(protocol) <= LONGEST_PROTOCOL and protocol[0] != "#"


def is_scheduled(words: list[str]) -> bool:
    """Whether a known scheduler stands where a service has its own."""
    return len(words) > 2 and words[2] in SCHEDULERS


def may_have_been_service(line: Line) -> bool:
    """Whether a line that was not understood is a service's with something wrong in it."""
    if line.words[0] in PROTOCOLS:
        return True
    text = " ".join(line.words)
    return bool(_TAIL.search(text) and re.search(r"[0-9]", text))


def mark_notation(word: str) -> Notation | None:
    """Who printed a firewall mark: the kernel eight hexadecimal digits, ipvsadm ``%d``."""
    if not EIGHT_DIGITS.fullmatch(word):
        return "ipvsadm"
    return "either" if word.isdecimal() and not word.startswith("0") else "kernel"


def _is_end(word: str) -> bool:
    """Whether a word is an end, if perhaps a broken one; ``00:59`` is when an entry expires."""
    like = ":" in word or any(map(str.isdigit, word)) or len(word) == TABLE_CUT
    return like and len(word) > 3 and not _CLOCK.fullmatch(word)


def _is_plausible(rest: list[str]) -> bool:
    """Whether what follows an end can be a scheduler or counters."""
    if rest[0] in SCHEDULERS or (len(rest) == len(cols.STATS) and all(map(cols.is_number, rest))):
        return True
    known = len(rest) == 1 or rest[1] in {"persistent", "ops", "pe"} or rest[1].startswith("(")
    return bool(_SCHEDULER.fullmatch(rest[0])) and known
