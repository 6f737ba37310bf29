"""The finding about packets that came after their entry had expired, and what to do about it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from analyzer.ipvs.states import TIMEOUT_NAMES, State
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.findings.figures import Figures
    from analyzer.results import Severity
    from analyzer.traces.expired import LatePacket

_SHOWN = 3
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
    cases = figures.late
    if not cases:
        return None
    return Finding(
        id="packet-after-expiry",
        severity=_severity(cases),
        title=_title(cases),
        evidence=" ".join(
            [*_examples(figures, cases), *_counts(cases), *_survived(figures, cases)]
        ),
        advice=" ".join([*_what_happened(cases), *_timeouts_advice(cases)]),
    )


def late_sentence(figures: Figures) -> list[str]:
    """The clause of the verdict, if packets were lost."""
    lost = [case for case in figures.late if case.lost]
    if not lost:
        return []
    n = len(lost)
    answers = " and ".join(
        f"{count} {_VERDICT[answer]}" if len(lost) > 1 else _VERDICT[answer]
        for answer, count in Counter(case.answer for case in lost).most_common()
    )
    noun = "1 connection" if n == 1 else f"{n} connections"
    surely = any(case.is_certain for case in lost)
    had = "had expired" if surely else f"must have expired{_by_default(lost)}"
    return [f"{noun} continued after the entry {had}: {answers}"]


_VERDICT = {
    "reset": "reset",
    "reset-to-server": "reset, to the real server",
    "untranslated": "forwarded untranslated",
    "none": "not answered",
}


def _severity(cases: Sequence[LatePacket]) -> Severity:
    if any(case.is_certain for case in cases):
        return "problem"
    harmless = (*_ALL_THE_SAME, "new-entry")
    return "info" if all(c.answer in harmless and not c.moved for c in cases) else "warning"


def _title(cases: Sequence[LatePacket]) -> str:
    n = len(cases)
    noun = "1 connection" if n == 1 else f"{n} connections"
    if all(case.answer == "new-entry" for case in cases):
        return f"{noun} of UDP continued after the entry had expired: each has a new one"
    if all(case.answer in _ALL_THE_SAME for case in cases):
        return f"{noun} continued after the entry should have expired, as if it still existed"
    if all(case.at_the_edge for case in cases):
        return f"{noun} continued about when the entry expired, within a timer granule"
    if not any(case.is_certain for case in cases):
        return f"{noun} continued after the entry must have expired{_by_default(cases)}"
    return f"{noun} continued after the entry had expired"


def _by_default(cases: Sequence[LatePacket]) -> str:
    return ", by the kernel's default timeouts" if any(case.assumed for case in cases) else ""


def _examples(figures: Figures, cases: Sequence[LatePacket]) -> list[str]:
    """Sort key: lost packets first, then the latest."""
    ranked = sorted(cases, key=lambda case: (not case.lost, -case.late_s[1]))
    return [f"{_example(figures, case)}." for case in ranked[:_SHOWN]]


def _example(figures: Figures, case: LatePacket) -> str:
    whose = "its real server's packet" if case.by == "server" else "a packet"
    more = f", {case.packets} in all" if case.packets > 1 else ""
    moved = {True: ", for another real server", False: ", for the same real server", None: ""}
    return (
        f"{figures.ends([case.flow])} ({figures.when([case.at_ns])}): {whose} came "
        f"{case.pause_s:.1f} s after the one before it, {_late(case)}{more}: "
        f"{_ANSWERS[case.answer]}{moved[case.moved]}"
    )


def _late(case: LatePacket) -> str:
    waits = f"its entry in {case.state} waits {case.timeout_s:g} s"
    low, high = case.late_s
    if case.sooner:
        return f"and the entry was gone, although in {case.state} it waits {case.timeout_s:g} s"
    if low <= 0:
        edge = f"{waits} and the kernel's timer up to {high - low:.1f} s more"
        after_expiry = "" if case.at_the_edge else ", and it was gone"
        return f"within a timer granule of its expiry: {edge}{after_expiry}"
    if high - low < _CLOSE_S:
        return f"{(low + high) / 2:.1f} s too late: {waits}"
    return f"{low:.1f} to {high:.1f} s too late: {waits}, and the kernel's timer somewhat longer"


_CLOSE_S = 0.5


def _counts(cases: Sequence[LatePacket]) -> list[str]:
    if len(cases) <= _SHOWN:
        return []
    counts = Counter((case.state, case.answer) for case in cases).most_common()
    return ["Total: " + "; ".join(f"{n} in {s}, {_ANSWERS[a]}" for (s, a), n in counts) + "."]


def _survived(figures: Figures, cases: Sequence[LatePacket]) -> list[str]:
    sentences = []
    if figures.longest_pause_s and any(case.by == "client" for case in cases):
        sentences.append(f"A pause of {figures.longest_pause_s:.1f} s was still answered.")
    assumed = sorted({f"{_name(case)} {case.timeout_s:g} s" for case in cases if case.assumed})
    if assumed:
        sentences.append(
            f"The timeouts were not read; assumed: {', '.join(assumed)}, the kernel's default."
        )
    return sentences


def _name(case: LatePacket) -> str:
    return TIMEOUT_NAMES[State[case.state]]


def _what_happened(cases: Sequence[LatePacket]) -> list[str]:
    answers = {case.answer for case in cases}
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


def _timeouts_advice(cases: Sequence[LatePacket]) -> list[str]:
    """Advice for each timeout: more frequent keepalives, or a higher value."""
    pauses: dict[tuple[str, float], float] = {}
    sooner = [case for case in cases if case.sooner]
    for case in (case for case in cases if not case.sooner):
        key = case.state, case.timeout_s
        pauses[key] = max(pauses.get(key, 0.0), case.pause_s)
    sentences = [_timeout_advice(*key, pause_s) for key, pause_s in pauses.items()]
    if sooner:
        shortest_s = min(case.pause_s for case in sooner)
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
