"""What a director is configured to, by itself and beside the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.health.model import made, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.health.model import Check, Health
    from analyzer.ipvs.states import Timeouts


def timeouts(one: Health, expected: Timeouts | None) -> Check:
    """The timeouts in force are those that are configured."""
    what = "timeouts in force"
    if one.timeouts is None:
        why = "they cannot be read: root there, or sudo -n for ipvsadm"
        return made(what, one.director, "not measured", why)
    now = _three(one.timeouts)
    if expected is None:
        return made(what, one.director, "skipped", f"{now}; --expect-timeouts was not given")
    text = f"{now}, {_three(expected)} expected"
    return made(what, one.director, one.timeouts == expected, text)


def _three(timeouts: Timeouts) -> str:
    return f"{timeouts.tcp_s:g} {timeouts.tcpfin_s:g} {timeouts.udp_s:g}"


def alike(healths: Sequence[Health]) -> list[Check]:
    """Services and timeouts of every director are those of the first."""
    if len(healths) < 2:
        why = "one director alone"
        return [made("services alike", None, "skipped", why)]
    first, found = healths[0], []
    for other in healths[1:]:
        differ = sorted(_shape(first) ^ _shape(other), key=str)
        text = f"as on {first.director}: {len(_shape(other))} rows of ipvsadm -Ln"
        if differ:
            text = f"otherwise than on {first.director}: {'; '.join(differ[:4])}"
        found.append(made("services alike", other.director, not differ, text))
        if first.timeouts and other.timeouts:
            text = f"{_three(other.timeouts)}, {_three(first.timeouts)} on {first.director}"
            same = first.timeouts == other.timeouts
            found.append(made("timeouts alike", other.director, same, text))
    return found


def _shape(one: Health) -> set[str]:
    """What directors must have alike, a text each; counters are each one's own."""
    servers = {
        f"{name_of(service)} {server.address}:{server.port} {server.forwarding} "
        f"weight {server.weight}"
        for service in one.services
        for server in service.destinations
    }
    return servers | {f"{name_of(service)} {service.scheduler}" for service in one.services}


def sync(healths: Sequence[Health]) -> Check:
    """Where one director sends its entries, another must take them."""
    what = "sync daemon"
    roles = {one.director: one.sync_daemon for one in healths}
    told = ", ".join(f"{name} {role or 'not known'}" for name, role in roles.items())
    if len(healths) < 2:
        return made(what, None, "skipped", f"one director alone ({told})")
    if None in roles.values():
        return made(what, None, "not measured", f"root there, or sudo -n for ipvsadm ({told})")
    if set(roles.values()) == {"none"}:
        return made(what, None, True, "none runs: a fail-over breaks the connections in flight")
    wrong = [
        one.director
        for one in healths
        if one.sync_daemon == "none"
        or (one.vrrp_state == "MASTER" and "master" not in (one.sync_daemon or ""))
        or (one.vrrp_state == "BACKUP" and "backup" not in (one.sync_daemon or ""))
    ]
    sends = any("master" in (role or "") for role in roles.values())
    takes = any("backup" in (role or "") for role in roles.values())
    detail = f"{told}; not as it should be on {', '.join(wrong)}" if wrong else told
    return made(what, None, not wrong and sends and takes, detail)
