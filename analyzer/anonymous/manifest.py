"""``run.json`` without names, addresses and free text.

Each key that may stay stands in ``RULES`` with what becomes of its value; a key that does not, or a
value of another type, is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from analyzer.anonymous import texts
from analyzer.anonymous.tables import METHODS, PROTOCOLS
from analyzer.anonymous.texts import HIDDEN
from analyzer.anonymous.vocabulary import SYSCTLS, words
from analyzer.forecast.closings import CLOSES
from analyzer.recording.manifest.director import CONNTRACK_SYSCTLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from analyzer.anonymous.substitution import Substitution
    from analyzer.recording.manifest import Manifest

COMMANDS = words("burst collect failover sweep import capacity-proof check-wire verify")

_PLAIN = r"\d{1,7}(?:\.\d{1,3})?(?:ms|[smhdkKMGT%]|bit)?(?:/s)?"
_OPTION = re.compile(r"(--[a-z][a-z-]{1,30}|-[A-Za-z])(?:=(.*))?", re.DOTALL | re.ASCII)
_LIMIT = re.compile(r"aborted by [a-z0-9-]{1,12}[<>]=?[\d.]{1,9}%?(?:: [\d.]{1,9}%?)?", re.ASCII)
_ABSENT: Any = object()


def number(value: Any, _: Substitution) -> Any:
    """A number, a truth value."""
    return value if isinstance(value, int | float) else _ABSENT


def hidden(value: Any, _: Substitution) -> Any:
    """A part of the request: only whether it was there stays, and the path ``/``."""
    return HIDDEN if value and value != "/" else value if isinstance(value, str) else _ABSENT


def text(rule: texts.Rule) -> Callable[[Any, Substitution], Any]:
    """A text, by a rule."""
    return lambda value, substitution: (
        rule(value, substitution) if isinstance(value, str) else _ABSENT
    )


def numbers(keys: Iterable[str]) -> dict[str, Any]:
    """An object of numbers."""
    return dict.fromkeys(keys, number)


def sysctl(value: Any, substitution: Substitution) -> Any:
    """A sysctl's value, as a number or as its file has it."""
    return value if isinstance(value, int) else SYSCTL(value, substitution)


ADDRESS, NAME, SENTENCE = text(texts.address), text(texts.name), text(texts.sentence)
KERNEL, FRACTION = text(texts.kernel), text(texts.like(r"\d{1,21}(?:/\d{1,21})?"))
SYSCTL = text(texts.like(r"-?\d{1,9}(?:\s-?\d{1,9}){0,3}"))
EACH = "*"
"""Key of an object whose keys are names: they are replaced too."""

_TARGET = {"vip": ADDRESS, "port": number, "protocol": text(PROTOCOLS)}
_STATUS = numbers(words("entries buckets lfactor empty_buckets")) | {"chains": numbers("1234567")}
_SOURCES = words("ipvsadm netlink /proc/timer_list meta.json --timeouts log")
_REQUEST = {
    "method": text(texts.one_of(METHODS)),
    "path": hidden,
    "headers": hidden,
    "body": hidden,
    "authority": NAME,
    "server_name": NAME,
    **numbers(["tls", "verify", "redirects"]),
}
_DIRECTOR = {
    "link": text(texts.link),
    "worker": {"name": NAME, **numbers(words("clock_offset_s clock_uncertainty_s"))},
    "kind": text(texts.one_of(("ipvs", "netfilter"))),
    "kernel": KERNEL,
    **numbers(
        words(
            "hz timer_phase_s timer_phase_uncertainty_s conn_tab_size entry_bytes "
            "uptime_step_s boot_at_ns clock_uncertainty_ms clock_uncertainty_s "
            "clock_is_known has_service real_servers insert_failed"
        )
    ),
    "services": [_TARGET | numbers(["has_service", "real_servers"])],
    "timer_phase_source": text(texts.one_of(_SOURCES)),
    "timeouts": numbers(["tcp", "tcpfin", "udp"]),
    "timeouts_source": text(texts.one_of(_SOURCES)),
    "table_status": _STATUS,
    "table_status_fullest": _STATUS,
    "table_status_at_end": _STATUS,
    "sysctl": dict.fromkeys((*SYSCTLS, *CONNTRACK_SYSCTLS), sysctl),
    "macs": [text(texts.mac)],
    "addresses": [ADDRESS],
    "vips_held": [ADDRESS],
    "vrrp_state": text(texts.one_of(["MASTER", "BACKUP", "FAULT"])),
    "sync_daemon": text(texts.one_of(words("none master backup master+backup backup+master"))),
}
RULES: dict[str, Any] = {
    "schema_version": number,
    "program": {
        "name": text(texts.one_of(["loadgen"])),
        "version": text(texts.like(r"\d{1,3}(?:\.\d{1,3}){1,2}")),
    },
    "command": text(texts.one_of(COMMANDS)),
    "started_at_ns": number,
    "ended_at_ns": number,
    "planned_s": number,
    "ended": text(lambda value, _: _ended(value)),
    "host": {"name": NAME, "kernel": KERNEL},
    "lab": NAME,
    "service": _TARGET,
    "services": [_TARGET],
    "forwarding": text(texts.one_of(words("dr nat tun local"))),
    "plan": {
        "engine": text(texts.one_of(["http", "sockets", "packets"])),
        "target": _TARGET,
        "targets": [_TARGET | {"request": _REQUEST}],
        "model": text(texts.one_of(("closed", "open"))),
        "arrivals": {
            "arrivals": text(texts.one_of(("uniform", "poisson"))),
            "stages": [numbers(("duration_s", "rate_per_s"))],
            **numbers(words("requests duration_s concurrency think_s seed at_once")),
        },
        "request": _REQUEST,
        **_REQUEST,
        "datagram": {"payload": hidden},
        "close": numbers(CLOSES),
        "hold": {
            "distribution": text(texts.one_of(["fixed", "uniform", "exponential"])),
            "told_s": [number],
            "seed": number,
        },
        "sources": [ADDRESS],
        **numbers(
            words(
                "requests concurrency requests_per_connection hold_s processes timeout_s "
                "connect_timeout_s tcp_info port_reuse_s rate_per_s"
            )
        ),
    },
    "engine": {"name": text(texts.one_of(["http", "sockets", "packets"])), "cpu_s": [number]},
    "directors": {EACH: _DIRECTOR},
    "capture": {
        "host": NAME,
        "with": text(texts.one_of(words("ring scapy tcpdump auto"))),
        **numbers(
            words("snap_bytes packets dropped clock_offset_ns clock_uncertainty_ns"),
        ),
    },
    "imported": {
        "log_clock": {
            "zone": text(texts.one_of(("UTC", "GMT", "Z"))),
            **numbers(
                words("utc_offset_s dated resolution_s joined confirmed shift_s uncertainty_s")
            ),
            "why": SENTENCE,
        }
    },
    "kept": {"limit": text(texts.like(_PLAIN)), "from_ns": number},
    "workers": [
        {
            "name": NAME,
            "host": NAME,
            "why": text(
                texts.one_of(
                    [
                        "died",
                        "stalled",
                        "scheduler",
                        "crashed",
                        "unasked",
                        "unrecorded",
                        "not gathered",
                    ]
                )
            ),
            "sources": [ADDRESS],
            **numbers(
                words("clock_offset_s clock_uncertainty_s share planned sent lost lost_at_ns")
            ),
        }
    ],
    "not_measured": [{"what": SENTENCE, "why": SENTENCE}],
    "failover": {
        "fault": SENTENCE,
        "held_by": [NAME],
        "why_insane": [SENTENCE],
        "vrrp_captured_on": [NAME],
        "vrrp_captures": [{"host": NAME, **numbers(words("clock_offset_ns clock_uncertainty_ns"))}],
        **numbers(
            words(
                "ordered_ns done_ns undo_ordered_ns undone_ns before_s after_s tail_s "
                "runs_planned probed syn_linear_timeouts nopreempt preempt_delay_s"
            )
        ),
    },
    "proof": {
        **numbers(words("hosts failures scale planned")),
        "link_bps": FRACTION,
        "ingress_bps": FRACTION,
        "burst": FRACTION,
        "lists": [[number]],
        "vips": [ADDRESS],
        "directors": [NAME],
        "lab_link": numbers(["rate_bps", "bucket_bytes", "queue_bytes"]),
        "losses": [
            {"down": [number], "before_ns": [number], "crashed_ns": number, "after_ns": [number]}
        ],
    },
}


def names_in(manifest: Manifest) -> Iterator[str]:
    """The names in a manifest: directors, hosts, sites, the lab, ends of links."""
    yield from manifest.directors
    requests = [manifest.plan.request, *(each.request for each in manifest.plan.targets)]
    hosts = (name for each in requests for name in (each.authority, each.server_name))
    names = (manifest.lab, manifest.host.name, *hosts)
    links = (host_of for facts in manifest.directors.values() if (host_of := _host(facts.link)))
    yield from (name for name in (*names, *links) if name is not None)


def _host(link: str | None) -> str | None:
    return texts.host_of(link) if link else None


def anonymous_manifest(manifest: Manifest, substitution: Substitution) -> dict[str, Any]:
    """A manifest with names replaced, and everything without a rule left out."""
    copy: dict[str, Any] = rebuilt(RULES, manifest.raw, substitution)
    if manifest.command_line is not None:
        line = (_argument(word, substitution) for word in manifest.command_line)
        copy["command_line"] = list(line)
    return copy


def rebuilt(rule: Any, value: Any, substitution: Substitution) -> Any:
    """A value by its rule: of an object, of a list, or of one value; ``_ABSENT`` if it has none."""
    if value is None:
        return None
    if callable(rule):
        return rule(value, substitution)
    if isinstance(rule, list):
        if not isinstance(value, list):
            return _ABSENT
        made = [rebuilt(rule[0], each, substitution) for each in value]
        return [each for each in made if each is not _ABSENT]
    if not isinstance(value, dict):
        return _ABSENT
    if EACH in rule:
        every = {
            substitution.name(key): rebuilt(rule[EACH], value[key], substitution) for key in value
        }
        return {key: each for key, each in every.items() if each is not _ABSENT}
    made_of = {key: rebuilt(rule[key], value[key], substitution) for key in value if key in rule}
    return {key: each for key, each in made_of.items() if each is not _ABSENT}


def _ended(value: str) -> str:
    """How a run ended; of an abort its limit, of an error nothing."""
    if value in ("completed", "interrupted"):
        return value
    if _LIMIT.fullmatch(value):
        return value
    return next((how for how in ("aborted", "failed") if value.startswith(how)), "cut off")


def _argument(word: str, substitution: Substitution) -> str:
    """A word of the command line: options, numbers, addresses are kept, anything else hidden."""
    option = _OPTION.fullmatch(word)
    if option:
        value = option[2]
        return option[1] + (f"={_argument(value, substitution)}" if value else "")
    if texts.is_address(word) or word in substitution.names:
        return texts.name(word, substitution)
    if texts.host_of(word):
        return texts.link(word, substitution)
    return word if re.fullmatch(_PLAIN, word, re.ASCII) or word in COMMANDS else HIDDEN
