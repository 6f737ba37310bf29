"""Findings about reset and refused connections: by whom, at which stage, how many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analyzer.findings.figures import lifetime_sentence
from analyzer.results import Finding
from analyzer.traces.expired.removed_early import LEAST_PAUSE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

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


def refused(figures: Figures) -> Finding | None:
    """SYNs that were answered by a reset."""
    rows = refusals(figures)
    if rows.empty:
        return None
    return Finding(
        id="refused",
        severity="problem",
        title=f"{_were(len(rows))} refused by {_kind(rows)}",
        evidence=f"Of {_total(figures)} connections {_by_sender_and_stage(rows)}; such as "
        f"{figures.ends(rows['flow'])} ({figures.when(rows['at_ns'])}). "
        + _what_entries_do(figures),
        advice=_refused_advice(rows, "nft list ruleset" if figures.by_conntrack else "ipvsadm -Ln"),
    )


def refusals(figures: Figures) -> pd.DataFrame:
    """The resets that were the answer to a SYN."""
    rows = figures.resets
    return rows[(rows["stage"] == "handshake") & (rows["by"] != "client")]


def refused_sentence(figures: Figures) -> list[str]:
    """The clause of the verdict on refused connections."""
    rows = refusals(figures)
    if rows.empty or figures.requests.sent:  # which say themselves why they failed
        return []
    return [f"{len(rows)} of {_total(figures)} connections were refused by {_by_whom(rows)}"]


def _were(n: int) -> str:
    return "1 connection was" if n == 1 else f"{n} connections were"


def _total(figures: Figures) -> int:
    return 0 if figures.connections is None else len(figures.connections)


def _kind(rows: pd.DataFrame) -> str:
    senders = set(rows["by"])
    if senders == {"director"}:
        return "the director itself"
    return "a real server" if senders == {"server"} else "a real server or the director"


def _by_whom(rows: pd.DataFrame) -> str:
    """The host that reset, with the server's name if it is always the same."""
    servers = rows["server"].unique()
    if set(rows["by"]) == {"server"} and len(servers) == 1 and rows["server"].notna().all():
        return f"the real server {servers[0]}"
    return _kind(rows)


def _by_sender_and_stage(rows: pd.DataFrame) -> str:
    """Numbers of resets by sender, server and stage, the largest first."""
    named = rows.assign(server=rows["server"].fillna(""))
    counts = Counter(zip(named["by"], named["server"], named["stage"], strict=True))
    ranked = counts.most_common()
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


def _refused_advice(rows: pd.DataFrame, shown_by: str) -> str:
    servers = "Check whether the real servers listen on the address and port of the connections"
    firewall = "and whether their firewall rejects them"
    director = (
        f"check with `{shown_by}` whether the director has this service: without one, its own TCP "
        "refuses the connection"
    )
    senders = set(rows["by"])
    if senders == {"director"}:
        return f"{director[0].upper()}{director[1:]}."
    if "unknown" in senders or "director" in senders:
        return f"{servers}, {firewall}; {director}."
    return f"{servers} (in dr and tun: the VIP's), {firewall}."


def reset_by_server(figures: Figures) -> Finding | None:
    """Established connections that were reset, not by the client."""
    rows = figures.resets
    rows = rows[(rows["stage"] != "handshake") & (rows["by"] != "client")]
    rows = rows[~rows["flow"].isin(figures.late.reset_flows(rows["flow"].to_numpy()))]
    if rows.empty:
        return None
    is_open = bool((rows["stage"] == "open").any())
    return Finding(
        id="reset-by-server",
        severity="warning" if is_open else "info",
        title=f"{_were(len(rows))} reset by {_kind(rows)}",
        evidence=f"Of {_total(figures)} connections {_by_sender_and_stage(rows)}; such as "
        f"{figures.ends(rows['flow'])} ({figures.when(rows['at_ns'])}).{_pauses(rows)}",
        advice="A real server resets a connection that its application aborts or closes with "
        "unread data, and one that it does not know (after a restart, or sent to the wrong "
        "server); a director resets packets for which it has no entry: compare the pauses before "
        "the resets with its timeouts.",
    )


def _pauses(rows: pd.DataFrame) -> str:
    """The silence before the resets that may be a director's, in words."""
    paused = rows.loc[rows["by"].isin(["unknown", "director"]), "pause_s"]
    if not len(paused) or paused.max() < LEAST_PAUSE_S:
        return ""
    least, most = f"{paused.min():.1f}", f"{paused.max():.1f}"
    length = f"{most} s" if least == most else f"{least} to {most} s"
    return f" The pause before the resets was {length}."


def reset_closes_early(figures: Figures) -> Finding | None:
    """Connections ended by a reset wait in CLOSE, 10 s, whatever tcpfin is."""
    rows = [row for row in figures.lifetimes if row.state == "CLOSE"]
    if not rows:
        return None
    n = sum(row.n for row in rows)
    flows = _flows_in_close(figures)
    such = figures.ends(flows)
    known = figures.resets[figures.resets["flow"].isin(flows)] if flows else figures.resets
    senders = f" Resets: {_by_sender_and_stage(known)}." if len(known) else ""
    return Finding(
        id="reset-closes-early",
        severity="info",
        title=f"{n} connections were reset: their entries wait 10 s, not tcpfin",
        evidence="; ".join(f"{row.director}: {lifetime_sentence(row)}, in CLOSE" for row in rows)
        + (f"; such as {such}." if such else ".")
        + senders,
        advice=_close_advice(set(known["by"])),
    )


def _flows_in_close(figures: Figures) -> Sequence[int]:
    return [flow for result in figures.measured for flow in result.flows_in("CLOSE").tolist()]


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
