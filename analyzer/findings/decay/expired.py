"""The finding about packets that came after their entry had expired, and what to do about it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from analyzer.ipvs.states import TIMEOUT_NAMES, State
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.findings.figures import Figures
    from analyzer.results import Severity
    from analyzer.traces.expired import LateKind, LatePacket, LatePackets

Key = TypeVar("Key")

_ANSWERS = {
    "reset": "answered with a RST from the VIP",
    "reset-to-server": "answered with a RST to the real server",
    "untranslated": "forwarded with the real server's own address, unknown to the client",
    "none": "no answer",
    "unseen": "whether it was answered was not captured",
    "sent-on": "forwarded nevertheless",
    "reply": "answered nevertheless",
    "server-reset": "reset by the real server, which received it nevertheless",
    "new-entry": "a new entry was made",
}
_ALL_THE_SAME = ("sent-on", "reply", "server-reset")
_SET = {"tcp": "{s} 0 0", "tcpfin": "0 {s} 0", "udp": "0 0 {s}"}
_ROUND_S = 60


def packet_after_expiry(figures: Figures) -> Finding | None:
    """Packets of connections whose entries had expired."""
    late = figures.late
    if not late.kinds:
        return None
    return Finding(
        id="packet-after-expiry",
        severity=_severity(late),
        title=_title(late),
        evidence=" ".join([*_examples(figures), *_counts(late), *_survived(late)]),
        advice=" ".join([*_what_happened(late), *_timeouts_advice(late)]),
    )


def late_sentence(figures: Figures) -> list[str]:
    """The clause of the verdict, if packets were lost."""
    lost = [(kind, tally.n) for kind, tally in figures.late.kinds.items() if kind.lost]
    if not lost:
        return []
    counts = _summed((kind.answer, n) for kind, n in lost)
    n = counts.total()
    answers = " and ".join(
        f"{count} {_VERDICT[answer]}" if n > 1 else _VERDICT[answer]
        for answer, count in counts.most_common()
    )
    noun = "1 connection" if n == 1 else f"{n} connections"
    kinds = [kind for kind, _ in lost]
    surely = any(kind.is_certain for kind in kinds)
    had = "had expired" if surely else f"must have expired{_by_default(kinds)}"
    return [f"{noun} continued after the entry {had}: {answers}"]


_VERDICT = {
    "reset": "reset",
    "reset-to-server": "reset, to the real server",
    "untranslated": "forwarded untranslated",
    "none": "not answered",
}


def _summed(counts: Iterable[tuple[Key, int]]) -> Counter[Key]:
    """The sums by key, in the order of the first of each."""
    sums: Counter[Key] = Counter()
    for key, n in counts:
        sums[key] += n
    return sums


def _severity(late: LatePackets) -> Severity:
    if any(kind.is_certain for kind in late.kinds):
        return "problem"
    harmless = (*_ALL_THE_SAME, "new-entry")
    is_harmless = all(kind.answer in harmless and not kind.moved for kind in late.kinds)
    return "info" if is_harmless else "warning"


def _title(late: LatePackets) -> str:
    n, kinds = sum(tally.n for tally in late.kinds.values()), late.kinds
    noun = "1 connection" if n == 1 else f"{n} connections"
    if all(kind.answer == "new-entry" for kind in kinds):
        return f"{noun} of UDP continued after the entry had expired: each has a new one"
    if all(kind.answer in _ALL_THE_SAME for kind in kinds):
        return f"{noun} continued after the entry should have expired, as if it still existed"
    if all(kind.at_the_edge for kind in kinds):
        return f"{noun} continued about when the entry expired, within a timer granule"
    if not any(kind.is_certain for kind in kinds):
        return f"{noun} continued after the entry must have expired{_by_default(kinds)}"
    return f"{noun} continued after the entry had expired"


def _by_default(kinds: Iterable[LateKind]) -> str:
    return ", by the kernel's default timeouts" if any(kind.assumed for kind in kinds) else ""


def _examples(figures: Figures) -> list[str]:
    return [f"{_example(figures, case)}." for case in figures.late.examples]


def _example(figures: Figures, case: LatePacket) -> str:
    kind = case.kind
    whose = "its real server's packet" if kind.by == "server" else "a packet"
    more = f", {case.packets} in all" if case.packets > 1 else ""
    moved = {True: ", for another real server", False: ", for the same real server", None: ""}
    return (
        f"{figures.ends([case.flow])} ({figures.when([case.at_ns])}): {whose} came "
        f"{case.pause_s:.1f} s after the one before it, {_late(case)}{more}: "
        f"{_ANSWERS[kind.answer]}{moved[kind.moved]}"
    )


def _late(case: LatePacket) -> str:
    kind = case.kind
    waits = f"its entry in {kind.state} waits {kind.timeout_s:g} s"
    low, high = case.late_s
    if kind.sooner:
        return f"and the entry was gone, although in {kind.state} it waits {kind.timeout_s:g} s"
    if low <= 0:
        edge = f"{waits} and the kernel's timer up to {high - low:.1f} s more"
        after_expiry = "" if kind.at_the_edge else ", and it was gone"
        return f"within a timer granule of its expiry: {edge}{after_expiry}"
    if high - low < _CLOSE_S:
        return f"{(low + high) / 2:.1f} s too late: {waits}"
    return f"{low:.1f} to {high:.1f} s too late: {waits}, and the kernel's timer somewhat longer"


_CLOSE_S = 0.5


def _counts(late: LatePackets) -> list[str]:
    """All of them by state and answer, where the examples do not show all."""
    counts = _summed(((kind.state, kind.answer), tally.n) for kind, tally in late.kinds.items())
    if counts.total() <= len(late.examples):
        return []
    shown = (f"{n} in {state}, {_ANSWERS[answer]}" for (state, answer), n in counts.most_common())
    return ["Total: " + "; ".join(shown) + "."]


def _survived(late: LatePackets) -> list[str]:
    sentences = []
    if late.longest_pause_s:
        sentences.append(f"A pause of {late.longest_pause_s:.1f} s was still answered.")
    assumed = sorted({f"{_name(kind)} {kind.timeout_s:g} s" for kind in late.kinds if kind.assumed})
    if assumed:
        sentences.append(
            f"The timeouts were not read; assumed: {', '.join(assumed)}, the kernel's default."
        )
    return sentences


def _name(kind: LateKind) -> str:
    return TIMEOUT_NAMES[State[kind.state]]


def _what_happened(late: LatePackets) -> list[str]:
    answers = {kind.answer for kind in late.kinds}
    sentences = []
    if "reset" in answers:
        sentences.append(
            "The director's own TCP resets packets for which it has no entry; the real server "
            "still holds its socket."
        )
    if answers & {"none", "unseen"}:
        sentences.append(
            "A director on which the VIP is local answers such a packet with a RST; if there is "
            "none, a firewall dropped the packet (unknown to its conntrack), or the capture missed "
            "the RST."
        )
    if answers & {"reset-to-server", "untranslated"}:
        sentences.append(
            "Without an entry a real server's packet is not translated, and the client "
            "never receives it as a packet of the VIP."
        )
    if answers & set(_ALL_THE_SAME):
        sentences.append(
            "If it was answered nevertheless, the timeout is longer than the one assumed here, or "
            "sloppy_tcp=1 made a new entry."
        )
    if "new-entry" in answers:
        sentences.append(
            "A datagram makes a new entry, and the scheduler chooses a real server again."
        )
    return sentences


def _timeouts_advice(late: LatePackets) -> list[str]:
    """Advice for each timeout: more frequent keepalives, or a higher value."""
    pauses: dict[tuple[str, float], float] = {}
    sooner = [tally for kind, tally in late.kinds.items() if kind.sooner]
    for kind, tally in late.kinds.items():
        key = kind.state, kind.timeout_s
        if not kind.sooner:
            pauses[key] = max(pauses.get(key, 0.0), tally.most_pause_s)
    sentences = [_timeout_advice(*key, pause_s) for key, pause_s in pauses.items()]
    if sooner:
        shortest_s = min(tally.least_pause_s for tally in sooner)
        sentences.append(
            f"Where an entry was removed early, a timeout shorter than {shortest_s:.1f} s may be "
            "in force (`ipvsadm -L --timeout`), or something else removed it: "
            "expire_nodest_conn=1, a flush, a fail-over to another director. Have TCP keepalives "
            "sent more often than that."
        )
    if sooner or any(state != State.UDP.name for state, _ in pauses):
        sentences.append(
            "Keepalives are off unless an application sets SO_KEEPALIVE, and begin after "
            "net.ipv4.tcp_keepalive_time, 7200 s by default."
        )
    return sentences


def _timeout_advice(state: str, timeout_s: float, pause_s: float) -> str:
    name = TIMEOUT_NAMES[State[state]]
    alive = "datagrams" if state == State.UDP.name else "TCP keepalives"
    often = f"have {alive} sent more often than every {timeout_s:g} s"
    head = f"{state}: "
    if name == "fixed":
        return f"{head}{often}; no ipvsadm --set number changes this timeout."
    longer_s = _ROUND_S * (math.floor(pause_s / _ROUND_S) + 2)
    setting = _SET[name].format(s=longer_s)
    return f"{head}{often}, or set a {name} timeout above the pause: `ipvsadm --set {setting}`."
