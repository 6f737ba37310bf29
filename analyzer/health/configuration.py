"""Checks of what directors are configured to, each alone and against the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.health.model import check, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.health.model import Check, Health
    from analyzer.ipvs.states import Timeouts


def timeouts(health: Health, expected: Timeouts | None) -> Check:
    """Check that the timeouts in force are those that were expected."""
    what = "timeouts in force"
    if health.timeouts is None:
        why = "they cannot be read: root there, or sudo -n for ipvsadm"
        return check(what, health.director, "not measured", why)
    now = _three(health.timeouts)
    if expected is None:
        return check(what, health.director, "skipped", f"{now}; --expect-timeouts was not given")
    text = f"{now}, {_three(expected)} expected"
    return check(what, health.director, health.timeouts == expected, text)


def _three(timeouts: Timeouts) -> str:
    return f"{timeouts.tcp_s:g} {timeouts.tcpfin_s:g} {timeouts.udp_s:g}"


def same_on_all(healths: Sequence[Health]) -> list[Check]:
    """Check that services and timeouts of every director are those of the first."""
    if len(healths) < 2:
        why = "one director alone"
        return [check("services alike", None, "skipped", why)]
    first, checks = healths[0], []
    for other in healths[1:]:
        differ = sorted(_common_configuration(first) ^ _common_configuration(other), key=str)
        text = f"as on {first.director}: {len(_common_configuration(other))} rows of ipvsadm -Ln"
        if differ:
            text = f"otherwise than on {first.director}: {'; '.join(differ[:4])}"
        checks.append(check("services alike", other.director, not differ, text))
        if first.timeouts and other.timeouts:
            text = f"{_three(other.timeouts)}, {_three(first.timeouts)} on {first.director}"
            same = first.timeouts == other.timeouts
            checks.append(check("timeouts alike", other.director, same, text))
    return checks


def _common_configuration(health: Health) -> set[str]:
    """What must be the same on all directors, as texts; their counters need not be."""
    servers = {
        f"{name_of(service)} {server.address}:{server.port} {server.forwarding} "
        f"weight {server.weight}"
        for service in health.services
        for server in service.destinations
    }
    return servers | {f"{name_of(service)} {service.scheduler}" for service in health.services}


def sync(healths: Sequence[Health]) -> Check:
    """Check that another director takes the entries that one sends."""
    what = "sync daemon"
    roles = {health.director: health.sync_daemon for health in healths}
    text = ", ".join(f"{name} {role or 'not known'}" for name, role in roles.items())
    if len(healths) < 2:
        return check(what, None, "skipped", f"one director alone ({text})")
    if None in roles.values():
        return check(what, None, "not measured", f"root there, or sudo -n for ipvsadm ({text})")
    if set(roles.values()) == {"none"}:
        return check(what, None, True, "none runs: a fail-over breaks the connections in flight")
    wrong = [
        health.director
        for health in healths
        if health.sync_daemon == "none"
        or (health.vrrp_state == "MASTER" and "master" not in (health.sync_daemon or ""))
        or (health.vrrp_state == "BACKUP" and "backup" not in (health.sync_daemon or ""))
    ]
    sends = any("master" in (role or "") for role in roles.values())
    takes = any("backup" in (role or "") for role in roles.values())
    detail = f"{text}; not as it should be on {', '.join(wrong)}" if wrong else text
    return check(what, None, not wrong and sends and takes, detail)
