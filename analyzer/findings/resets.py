"""Findings about reset and refused connections: by whom, at which stage, how many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.findings.examples import Examples
from analyzer.findings.figures import lifetime_sentence
from analyzer.results import Finding
from analyzer.traces.expired.removed_early import LEAST_PAUSE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from analyzer.arrays import Bools
    from analyzer.findings.figures import Figures

_MOST_SERVERS = 5
_SENDERS = {
    "client": "the client",
    "server": "a real server",
    "director": "the director itself",
    "unknown": "a real server or the director (the capture does not show which)",
}
_STAGES = {
    "handshake": "instead of an answer to the SYN",
    "open": "while the connection was open",
    "closing": "after a FIN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resets:
    """Resets of a kind.

    Attributes:
        groups: how many, by sender, server ("" where not known) and stage.
        such: of which connections.
        pauses_s: the shortest and the longest before those that may be a director's; None: none.
    """

    groups: Counter[tuple[str, str, str]]
    such: Examples
    pauses_s: tuple[float, float] | None

    @property
    def senders(self) -> set[str]:
        """Who sent them."""
        return {by for by, _, _ in self.groups}

    @property
    def servers(self) -> set[str]:
        """The real servers that they came from or were meant for."""
        return {server for _, server, _ in self.groups}


def _resets(
    figures: Figures, wanted: Callable[[pd.DataFrame], Bools | pd.Series] | None = None
) -> _Resets:
    """The resets that are wanted, of a part of whole flows at a time; all by default."""
    groups: Counter[tuple[str, str, str]] = Counter()
    such, edges_s = Examples(), list[float]()
    for part in figures.resets:
        rows = part if wanted is None else part[wanted(part)]
        named = rows.assign(server=rows["server"].fillna(""))
        sizes = named.groupby(["by", "server", "stage"], sort=False).size()
        groups.update(dict(zip(sizes.index.tolist(), sizes.tolist(), strict=True)))
        such = such.with_rows(rows["flow"], rows["at_ns"])
        paused_s = rows.loc[rows["by"].isin(["unknown", "director"]), "pause_s"]
        edges_s += [float(paused_s.min()), float(paused_s.max())] if len(paused_s) else []
    pauses_s = (min(edges_s), max(edges_s)) if edges_s else None
    return _Resets(groups=groups, such=such, pauses_s=pauses_s)


def refused(figures: Figures) -> Finding | None:
    """SYNs that were answered by a reset."""
    found = _refusals(figures)
    if not found.such.rows:
        return None
    return Finding(
        id="refused",
        severity="problem",
        title=f"{_were(found.such.rows)} refused by {_kind(found)}",
        evidence=f"Of {_total(figures)} connections {_by_sender_and_stage(found)}; such as "
        f"{figures.ends(found.such)} ({figures.when(found.such)}). " + _what_entries_do(figures),
        advice=_refused_advice(
            found.senders, "nft list ruleset" if figures.by_conntrack else "ipvsadm -Ln"
        ),
    )


def _refusals(figures: Figures) -> _Resets:
    """The resets that were the answer to a SYN."""
    return _resets(figures, lambda rows: (rows["stage"] == "handshake") & (rows["by"] != "client"))


def refused_sentence(figures: Figures) -> list[str]:
    """The clause of the verdict on refused connections."""
    if figures.requests.sent:  # which say themselves why they failed
        return []
    found = _refusals(figures)
    n = found.such.rows
    return [f"{n} of {_total(figures)} connections were refused by {_by_whom(found)}"] if n else []


def _were(n: int) -> str:
    return "1 connection was" if n == 1 else f"{n} connections were"


def _total(figures: Figures) -> int:
    return 0 if figures.connections is None else len(figures.connections)


def _kind(found: _Resets) -> str:
    if found.senders == {"director"}:
        return "the director itself"
    return "a real server" if found.senders == {"server"} else "a real server or the director"


def _by_whom(found: _Resets) -> str:
    """The host that reset, with the server's name if it is always the same."""
    if found.senders == {"server"} and len(found.servers) == 1 and "" not in found.servers:
        return f"the real server {next(iter(found.servers))}"
    return _kind(found)


def _by_sender_and_stage(found: _Resets) -> str:
    """Numbers of resets by sender, server and stage, the largest first."""
    ranked = found.groups.most_common()
    shown = [_group(by, server, stage, n) for (by, server, stage), n in ranked[:_MOST_SERVERS]]
    more = sum(n for _, n in ranked[_MOST_SERVERS:])
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _group(by: str, server: str, stage: str, n: int) -> str:
    if server and by == "server":
        return f"{n} by the real server {server}, {_STAGES[stage]}"
    of = f" (real server {server})" if server else ""
    return f"{n} by {_SENDERS[by]}{of}, {_STAGES[stage]}"


def _what_entries_do(figures: Figures) -> str:
    if figures.by_conntrack:
        return "conntrack deletes an entry whose only answer was a reset at once."
    if figures.forwarding == "nat":
        return "The director sees the reset, and its entries wait 10 s in CLOSE."
    if figures.forwarding in ("dr", "tun"):
        return (
            "In dr and tun the director never sees a real server's reset: its entries wait 60 s in "
            "SYN_RECV, counted as active."
        )
    return (
        "In nat the entries wait 10 s in CLOSE; in dr and tun, whose director does not see the "
        "reset, 60 s in SYN_RECV, counted as active."
    )


def _refused_advice(senders: set[str], shown_by: str) -> str:
    servers = "Check whether the real servers listen on the address and port of the connections"
    firewall = "and whether their firewall rejects them"
    director = (
        f"check with `{shown_by}` whether the director has this service: without one, its own TCP "
        "refuses the connection"
    )
    if senders == {"director"}:
        return f"{director[0].upper()}{director[1:]}."
    if "unknown" in senders or "director" in senders:
        return f"{servers}, {firewall}; {director}."
    return f"{servers} (in dr and tun: the VIP's), {firewall}."


def reset_by_server(figures: Figures) -> Finding | None:
    """Established connections that were reset, not by the client."""
    late = figures.late
    found = _resets(
        figures,
        lambda rows: (
            (rows["stage"] != "handshake")
            & (rows["by"] != "client")
            & ~rows["flow"].isin(late.reset_flows(rows["flow"].to_numpy()))
        ),
    )
    if not found.such.rows:
        return None
    is_open = any(stage == "open" for _, _, stage in found.groups)
    return Finding(
        id="reset-by-server",
        severity="warning" if is_open else "info",
        title=f"{_were(found.such.rows)} reset by {_kind(found)}",
        evidence=f"Of {_total(figures)} connections {_by_sender_and_stage(found)}; such as "
        f"{figures.ends(found.such)} ({figures.when(found.such)}).{_pauses(found)}",
        advice="A real server resets a connection that its application aborts or closes with "
        "unread data, and one that it does not know (after a restart, or sent to the wrong "
        "server); a director resets packets for which it has no entry: compare the pauses before "
        "the resets with its timeouts.",
    )


def _pauses(found: _Resets) -> str:
    """The silence before the resets that may be a director's, in words."""
    if found.pauses_s is None or found.pauses_s[1] < LEAST_PAUSE_S:
        return ""
    least, most = (f"{pause_s:.1f}" for pause_s in found.pauses_s)
    length = f"{most} s" if least == most else f"{least} to {most} s"
    return f" The pause before the resets was {length}."


def reset_closes_early(figures: Figures) -> Finding | None:
    """Connections ended by a reset wait in CLOSE, 10 s, whatever tcpfin is."""
    rows = [row for row in figures.lifetimes if row.state == "CLOSE"]
    if not rows:
        return None
    n = sum(row.n for row in rows)
    flows = figures.flows_in("CLOSE")
    such = figures.ends(flows.examples())
    known = _resets(figures, (lambda rows: flows.among(rows["flow"].to_numpy())) if flows else None)
    senders = f" Resets: {_by_sender_and_stage(known)}." if known.such.rows else ""
    return Finding(
        id="reset-closes-early",
        severity="info",
        title=f"{n} connections were reset: their entries wait 10 s, not tcpfin",
        evidence="; ".join(f"{row.director}: {lifetime_sentence(row)}, in CLOSE" for row in rows)
        + (f"; such as {such}." if such else ".")
        + senders,
        advice=_close_advice(known.senders),
    )


def _close_advice(senders: set[str]) -> str:
    if senders <= {"client"}:
        return (
            "Clients that abort (timeouts of health checks, SO_LINGER 0) leave entries like these; "
            "a decay faster than tcpfin is no sign of a fault."
        )
    return (
        "A decay faster than tcpfin is no fault of the director; find out why real servers refuse "
        "or reset connections."
    )
