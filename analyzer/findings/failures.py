"""Findings about failed requests and their causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.causes import is_unanswered, services_without_servers
from analyzer.client.outcomes import REDIRECTS, outcome_rows
from analyzer.evidence.held import services_lacking
from analyzer.ipvs.addresses import host_port
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from analyzer.client.failures import FailureKind, Stage
    from analyzer.client.results import RequestErrors
    from analyzer.evidence.evidence import Evidence
    from analyzer.findings.figures import Figures
    from analyzer.recording.director import Director
    from analyzer.recording.requests import RequestRows
    from analyzer.wire.segments import VirtualEnd

MOST_REASONS = 4  # of a sentence

_SHORT: Mapping[FailureKind, str] = {
    "refused": "refused",
    "reset": "reset",
    "timeout": "timed out",
    "host-unreachable": "host unreachable",
    "no-route": "no route to the network",
    "no-port": "no source port left",
    "local": "not sent by the client",
    "name": "name not resolved",
    "tls": "TLS failed",
    "too-many-redirects": "too many redirects",
    "bad-redirect": "redirected to no URL",
    "http-4xx": "HTTP 4xx",
    "http-5xx": "HTTP 5xx",
    "http-other": "another HTTP status",
    "short-answer": "closed before the answer was complete",
    "not-http": "no HTTP answer",
    "unreadable": "answer not readable",
    "interrupted": "interrupted",
    "unfinished": "never finished",
    "other": "another error",
}
_AT: Mapping[Stage, str] = {
    "connect": " at connect",
    "tls": "",
    "answer": " at the answer",
    "close": " at the close",
}
_STAGED: frozenset[FailureKind] = frozenset({"refused", "reset", "timeout"})

_ADVICE: Mapping[FailureKind, str] = {
    "refused": "Check whether the real servers listen, and whether the director has the service.",
    "reset": "Find out who sends the reset: a real server that crashes, a firewall, or a director "
    "that no longer has the entry.",
    "timeout": "Check whether a director holds the VIP, whether its real servers answer, and "
    "whether replies reach the client.",
    "host-unreachable": "Check who holds the VIP: ip neigh on the client, ip address on the "
    "directors.",
    "no-route": "Give the client a route to the VIP's network.",
    "no-port": "Give the client more source ports or addresses (--local-ips), or a lower rate.",
    "local": "Raise the client's limits (ulimit -n), or find out what keeps it from sending.",
    "tls": "Check whether the port speaks TLS, and which certificate it presents (-k accepts any).",
    "too-many-redirects": "Check where the real servers redirect to: the redirects form a loop.",
    "bad-redirect": "Check the Location header that the real servers send.",
    "http-4xx": "Request a path that the real servers have (--path), with what they require.",
    "http-5xx": "Check the real servers' error logs.",
    "not-http": "Check whether the port speaks HTTP, and whether it needs TLS (--tls).",
}
_USUAL = "Check whether the real servers answer, and whether a director holds the VIP."


def requests_failed(figures: Figures) -> Finding | None:
    """Requests failed, with the most frequent reason first."""
    requests = figures.requests
    if not requests.failed:
        return None
    reasons = "; ".join(f"{_reason(row)}{_when(row)}" for row in requests.errors[:MOST_REASONS])
    first = requests.errors[0].kind if requests.errors else None
    return Finding(
        id="requests-failed",
        severity="problem",
        title=f"{requests.failed} of {requests.sent} requests failed",
        evidence=f"{requests.succeeded} succeeded; {reasons or 'no reason was recorded'}"
        f"{_more(requests.errors)}.",
        advice=_ADVICE.get(first, _USUAL) if first else _USUAL,
    )


def service_missing(figures: Figures) -> Finding | None:
    """A director has no service at the load's VIP and port."""
    lacking = _without_service(figures)
    if not lacking:
        return None
    answered = _answered(figures, lacking)
    return Finding(
        id="service-missing",
        severity="problem"
        if not answered
        else "info"
        if _elsewhere(figures, lacking)
        else "warning",
        title="; ".join(_no_service(names, end) for end, names in lacking.items()),
        evidence="The service was not in the director's table when the run began or at any poll, "
        "and no entry of it was seen. No entry is predicted there."
        + (f" {answered} requests were answered, but not by IPVS there." if answered else ""),
        advice="Check whether --vip and --port are right, and whether keepalived or ipvsadm "
        "created the service; ipvsadm -Ln lists all services.",
    )


def no_real_server(figures: Figures) -> Finding | None:
    """A director has the service, but no real server for it."""
    lacking = _without_servers(figures)
    if not lacking:
        return None
    return Finding(
        id="no-real-server",
        severity="problem",
        title="; ".join(_nobody_behind(names, end) for end, names in lacking.items()),
        evidence="At no poll did the service have a real server with a weight above 0.",
        advice="Check whether health checks removed them (keepalived's log), or set their weight.",
    )


def vip_unanswered(figures: Figures) -> Finding | None:
    """No host on the link answered ARP for the VIP."""
    vips = _unanswered(figures)
    if not vips:
        return None
    return Finding(
        id="vip-unanswered",
        severity="problem",
        title=_sentence_of(_nobody(vips)),
        evidence=f"The client asked for {'its MAC address' if len(vips) == 1 else 'their MACs'} "
        f"and got no answer, so nothing could be sent {'to it' if len(vips) == 1 else 'there'}.",
        advice="Check whether a director holds the address (ip address, keepalived's state), and "
        "whether client and director are on the same network.",
    )


def redirects_not_followed(figures: Figures) -> Finding | None:
    """Some redirects lead to hosts that this load does not follow them to."""
    evidence = figures.evidence
    if evidence is None or not evidence.manifest.plan.request.redirects:
        return None
    n = sum(map(_left_at_a_redirect, evidence.requests.parts()))
    if not n:
        return None
    return Finding(
        id="redirects-not-followed",
        severity="warning",
        title=f"{n} requests ended in a redirect that was not followed",
        evidence="They lead to another host, port or scheme, or do not say where; such a redirect "
        "counts as the answer.",
        advice="Send the load to where they lead (--vip, --port, --tls), or omit -L.",
    )


def _left_at_a_redirect(part: RequestRows) -> int:
    rows = outcome_rows(part.frame())
    return int((rows["status"].isin(REDIRECTS) & rows["error"].isna()).sum())


# -- in a sentence ---------------------------------------------------------------------------------


def why_all_failed(figures: Figures) -> str:
    """Why no request succeeded, as a phrase after a colon; "" where not known."""
    reasons = _reasons(figures.requests.errors)
    cause = _cause(figures)
    if cause and reasons:
        return f"{cause} ({reasons})"
    return cause or reasons


def why_some_failed(figures: Figures) -> str:
    """Why some requests failed; "" where none did or it is not known."""
    return _reasons(figures.requests.errors)


def _all_failed(figures: Figures) -> bool:
    return figures.requests.sent > 0 and not figures.requests.succeeded


def _cause(figures: Figures) -> str:
    evidence = figures.evidence
    if evidence is None or not evidence.sent_to:
        return ""
    vips = _unanswered(figures)
    if vips and len(vips) == len({end.vip for end in evidence.sent_to}):
        return _nobody(vips)
    for lacking, words in (
        (_without_service(figures), _no_service),
        (_without_servers(figures), _nobody_behind),
    ):
        if _everywhere(lacking, evidence):
            return "; ".join(words(names, end) for end, names in lacking.items())
    return ""


def _everywhere(lacking: Mapping[VirtualEnd, Sequence[str]], evidence: Evidence) -> bool:
    """Whether every target is among them, on every director."""
    everybody = len(evidence.directors)
    return len(lacking) == len(evidence.sent_to) and all(
        len(names) == everybody for names in lacking.values()
    )


def _unanswered(figures: Figures) -> list[str]:
    """The VIPs of which no request succeeded, and for which nobody answered ARP."""
    evidence = figures.evidence
    if evidence is None:
        return []
    failed = dict.fromkeys(end.vip for end in evidence.sent_to)
    if not _all_failed(figures):
        reached = {row.vip for row in figures.targets if row.succeeded or not row.sent}
        failed = {vip: None for vip in failed if figures.targets and vip not in reached}
    return [vip for vip in failed if is_unanswered(evidence, vip)]


def _elsewhere(figures: Figures, lacking: Mapping[VirtualEnd, Sequence[str]]) -> bool:
    """Whether each of several targets has another director: a VIP may have its own."""
    evidence = figures.evidence
    return (
        evidence is not None
        and len(evidence.sent_to) > 1
        and all(len(names) < len(evidence.directors) for names in lacking.values())
    )


def _answered(figures: Figures, lacking: Collection[VirtualEnd]) -> int:
    """The requests that succeeded at the targets that a director lacks."""
    if not figures.targets:
        return figures.requests.succeeded
    ends = {(end.vip, end.port) for end in lacking}
    return sum(row.succeeded for row in figures.targets if (row.vip, row.port) in ends)


def _nobody(vips: Sequence[str]) -> str:
    asked = "neighbour solicitations" if ":" in vips[0] else "ARP"
    return f"nobody answered {asked} for {_listed(vips)}"


def _without_service(figures: Figures) -> dict[VirtualEnd, list[str]]:
    return _by_service(figures, services_lacking)


def _without_servers(figures: Figures) -> dict[VirtualEnd, list[str]]:
    return _by_service(figures, services_without_servers)


def _by_service(
    figures: Figures, lacking: Callable[[Director, Evidence], Sequence[VirtualEnd]]
) -> dict[VirtualEnd, list[str]]:
    """The directors that lack something of a service, by service, in the order of the targets."""
    evidence = figures.evidence
    if evidence is None:
        return {}
    by_director = {each.name: lacking(each, evidence) for each in evidence.directors}
    names = {
        end: [name for name, ends in by_director.items() if end in ends] for end in evidence.sent_to
    }
    return {end: those for end, those in names.items() if those}


def _no_service(names: Sequence[str], service: VirtualEnd) -> str:
    have = "has" if len(names) == 1 else "have"
    return f"{_listed(names)} {have} no service {_end(service)}"


def _nobody_behind(names: Sequence[str], service: VirtualEnd) -> str:
    have = "has" if len(names) == 1 else "have"
    return f"{_listed(names)} {have} no real server of weight above 0 for {_end(service)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _end(service: VirtualEnd) -> str:
    protocol = "" if service.protocol == "TCP" else f"{service.protocol} "
    return f"{protocol}{host_port(service.vip, service.port)}"


def _reasons(errors: Sequence[RequestErrors]) -> str:
    return ", ".join(map(_reason, errors[:MOST_REASONS])) + _more(errors)


def _more(errors: Sequence[RequestErrors]) -> str:
    rest = sum(row.n for row in errors[MOST_REASONS:])
    return f" and {rest} for other reasons" if rest else ""


def _reason(row: RequestErrors) -> str:
    words = _SHORT[row.kind] if row.status is None else f"HTTP {row.status}"
    return f"{row.n} {words}{_AT[row.stage] if row.kind in _STAGED else ''}"


def _when(row: RequestErrors) -> str:
    if row.first_s is None or row.last_s is None:
        return ""
    if row.last_s - row.first_s < 0.1:
        return f" ({row.first_s:.1f} s)"
    return f" ({row.first_s:.1f} to {row.last_s:.1f} s)"


def _sentence_of(phrase: str) -> str:
    return f"{phrase[0].upper()}{phrase[1:]}"
