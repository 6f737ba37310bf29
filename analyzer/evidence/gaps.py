"""Gaps of a recording: what it cannot show, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.evidence.ends import virtual_ends
from analyzer.evidence.forwarding import HOW_TO_SETTLE
from analyzer.recording.clock import iso
from analyzer.recording.ending import ending_of
from analyzer.results import NotMeasured
from analyzer.wire.vrrp import MOST, MOST_BFD

if TYPE_CHECKING:
    from analyzer.evidence.evidence import Evidence
    from analyzer.recording.manifest import Manifest


def gaps_of(evidence: Evidence) -> list[NotMeasured]:
    """Gaps of a recording: noted by the run itself, or visible here."""
    rows = [*evidence.manifest.not_measured, *_after_the_end(evidence.manifest)]
    rows += _deleted_parts(evidence.manifest)
    if evidence.segments is not None and not evidence.forwarder_macs:
        why = "the capture does not show who forwards; all packets to the VIP are taken to pass it"
        rows.append(NotMeasured(what="which packets passed the director", why=why))
    rows += _no_packets_of_the_service(evidence)
    rows += _announcements_left_out(evidence)
    if evidence.forwarded and evidence.forwarded.basis == "assumed" and evidence.directors:
        why = f"{evidence.forwarded.why}; dr is assumed. What would tell: {HOW_TO_SETTLE}"
        rows.append(NotMeasured(what="forwarding (dr, tun or nat)", why=why))
    return rows


def _announcements_left_out(evidence: Evidence) -> list[NotMeasured]:
    """Captures with more announcements than are read."""
    client = evidence.announcements
    views = {**({"the client": client} if client else {}), **evidence.seen_on}
    cases = [
        (host, what, left_out, most)
        for host, seen in views.items()
        for what, left_out, most in (
            ("VRRP and ARP", seen.left_out, MOST),
            ("BFD", seen.bfd_left_out, MOST_BFD),
        )
    ]
    return [
        NotMeasured(
            what=f"{left_out:,} packets of {what} at the end of the capture on {host}",
            why=f"the first {most:,} are read",
        )
        for host, what, left_out, most in cases
        if left_out
    ]


def _no_packets_of_the_service(evidence: Evidence) -> list[NotMeasured]:
    """A capture from behind a director in nat has packets of real servers, and none of the VIP."""
    packets = evidence.captured.unserved if evidence.captured else None
    if packets is None:
        return []
    tables = (evidence.services, *evidence.changes)
    known = pd.concat([rows["real_server"].dropna().drop_duplicates() for rows in tables])
    ours = np.isin(packets.addresses, known.unique().tolist())
    n = int((ours[packets.source] | ours[packets.destination]).sum()) if len(ours) else 0
    if not any(virtual_ends(evidence.sent_to, rows) for rows in tables):
        why = (
            f"of the {len(packets.at_ns)} packets read none opens a TCP connection (what tunnels "
            "carry may not be read), and nothing says what is a virtual service: give "
            '"vip", "port" and "protocol" in meta.json, or a log of `ipvsadm -Ln` beside it'
        )
        return [NotMeasured(what="packets of the virtual services", why=why)]
    why = f"of the {len(packets.at_ns)} packets captured none is to or from a virtual service"
    if n:
        why += (
            f", but {n} are a real server's: so it is behind a director in nat; capture on the "
            "director or a client"
        )
    return [NotMeasured(what="packets of the virtual services", why=why)]


def _deleted_parts(manifest: Manifest) -> list[NotMeasured]:
    """Gaps of a long watch: what it did not keep (``kept`` in the manifest)."""
    kept = manifest.kept
    if not kept.from_ns:
        return []
    what = f"what came before {iso(kept.from_ns)}"
    return [NotMeasured(what=what, why=f"--keep {kept.limit}: the oldest was deleted")]


def _after_the_end(manifest: Manifest) -> list[NotMeasured]:
    """Gaps of a run that did not end as planned."""
    ending = ending_of(manifest)
    if ending.is_whole:
        return []
    why = f"the recording was {ending.cause}"
    return [NotMeasured(what="what came after the recording's end", why=why)]
