"""The rules of ``ipvsadm -S`` and ``ipvsadm-save``: services and real servers without counters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from analyzer.ipvs.ipvsadm.ends import PLAIN_V4, ipvsadm_end, plain_end
from analyzer.ipvs.ipvsadm.model import Destination, End, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.ipvs.ipvsadm.lines import Line

    Warn = Callable[[str], None]

_COMMANDS = {"-A": "service", "--add-service": "service", "-a": "server", "--add-server": "server"}
_SERVICES = {
    "-t": "TCP",
    "--tcp-service": "TCP",
    "-u": "UDP",
    "--udp-service": "UDP",
    "--sctp-service": "SCTP",
    "-f": "FWM",
    "--fwmark-service": "FWM",
}
_FORWARDS = {
    "-g": "Route",
    "--gatewaying": "Route",
    "-m": "Masq",
    "--masquerading": "Masq",
    "-i": "Tunnel",
    "--ipip": "Tunnel",
}
_VALUES = {
    "-s": "scheduler",
    "--scheduler": "scheduler",
    "-p": "persistent",
    "--persistent": "persistent",
    "-M": "netmask",
    "--netmask": "netmask",
    "--pe": "pe",
    "pe": "pe",  # until ipvsadm 1.27, which could not read it back
    "-b": "sched_flags",
    "--sched-flags": "sched_flags",
    "-r": "server",
    "--real-server": "server",
    "-w": "weight",
    "--weight": "weight",
    "-x": "uthreshold",
    "--u-threshold": "uthreshold",
    "-y": "lthreshold",
    "--l-threshold": "lthreshold",
    "--tun-type": "tun_type",
    "--tun-port": "tun_port",
}
_SWITCHES: dict[str, tuple[str, str]] = {
    "-o": ("ops", "ops"),
    "--ops": ("ops", "ops"),
    "ops": ("ops", "ops"),
    "-6": ("ipv6", "ipv6"),
    "--ipv6": ("ipv6", "ipv6"),
    "--tun-nocsum": ("tun_flags", "-c"),
    "--tun-csum": ("tun_flags", "+c"),
    "--tun-remcsum": ("tun_flags", "r+c"),
} | {switch: ("forward", name) for switch, name in _FORWARDS.items()}
_SCHEDULER_SWITCHES = ("-s", "--scheduler")
_NUMBER = re.compile(r"[0-9]{1,10}")
_MARK = re.compile(r"-?[0-9]{1,10}")
MAX_MARK = 0xFFFFFFFF

_PLAIN_SERVICE = re.compile(rf"(-[tu]) +({PLAIN_V4}) +-s +([a-z]+)(?: +-p +({_NUMBER.pattern}))? *")
_PLAIN_SERVER = re.compile(
    rf"(-[tu]) +({PLAIN_V4}) +-r +{PLAIN_V4} +(-[gmi]) +-w +({_NUMBER.pattern})"
    rf"(?: +-x +({_NUMBER.pattern}) +-y +({_NUMBER.pattern}))? *"
)

Key = tuple[str, str, bool]


@dataclass(slots=True)
class Rules:
    """The rules so far. A real server's rule names its service, wherever that stands."""

    services: dict[Key, Service] = field(default_factory=dict)  # without their real servers
    servers: dict[Key, list[Destination]] = field(default_factory=dict)

    def plain_rules(self, lines: list[str]) -> int:
        """Take rules of TCP or UDP, IPv4 and the usual options, as almost all are; how many."""
        taken = 0
        for raw in lines:
            if not self._plain_rule(raw):
                break
            taken += 1
        return taken

    def _plain_rule(self, raw: str) -> bool:
        if raw.startswith("-a "):
            return self._plain_server(raw)
        return raw.startswith("-A ") and self._plain_service(raw)

    def _plain_service(self, raw: str) -> bool:
        found = _PLAIN_SERVICE.fullmatch(raw, 3)
        if found is None:
            return False
        kind, name, address, port, scheduler, persistent = found.groups()
        end = plain_end(address, port)
        if end is None:
            return False
        protocol = _SERVICES[kind]
        self.services[protocol, name, False] = Service(
            protocol=protocol,
            address=end[0],
            port=end[1],
            family="ipv4",
            scheduler=intern(scheduler),
            flags=f"-p {persistent}" if persistent else "",
            persistent_s=int(persistent) if persistent else None,
            ops=False,
            sched_flags=(),
        )
        return True

    def _plain_server(self, raw: str) -> bool:
        """Take a real server's rule, if a rule before it adds its service."""
        found = _PLAIN_SERVER.fullmatch(raw, 3)
        if found is None:
            return False
        kind, name, _, _, address, port, forward, weight, most, least = found.groups()
        key: Key = (_SERVICES[kind], name, False)
        end = plain_end(address, port)
        if end is None or key not in self.services:
            return False
        server = Destination(
            address=end[0],
            port=end[1],
            port_name=None,
            forward=_FORWARDS[forward],
            weight=int(weight),
            uthreshold=int(most) if most else None,
            lthreshold=int(least) if least else None,
        )
        self.servers.setdefault(key, []).append(server)
        return True

    def rule(self, line: Line, warn: Warn) -> bool:
        """Take one rule."""
        words = line.words
        command = _COMMANDS.get(words[0])
        if command is None or len(words) < 3:
            return False
        options = _options(words[1:], warn)
        key: Key = (options.get("protocol", ""), options.get("name", ""), "ipv6" in options)
        service = _service(options, words, warn)
        if service is None:
            return False
        if command == "service":
            self.services[key] = service
            return True
        return self._server(key, service, options, warn)

    def _server(self, key: Key, service: Service, options: dict[str, str], warn: Warn) -> bool:
        end = ipvsadm_end(options.get("server", ""), warn)
        if end is None:
            return False
        if key not in self.services:
            warn(f"no rule before this one adds the service {key[1]}")
            self.services[key] = replace(service, flags=None, ops=None, sched_flags=None)
        self.servers.setdefault(key, []).append(_destination(end, options, warn))
        return True

    def read(self) -> Iterator[Service]:
        """The services with their real servers."""
        for key, service in self.services.items():
            below = self.servers.get(key)
            yield replace(service, destinations=tuple(below)) if below else service


def _options(words: list[str], warn: Warn) -> dict[str, str]:
    """The options of a rule by what they mean."""
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word in _SERVICES:
            options |= {"protocol": _SERVICES[word], "name": next(rest, "")}
        elif word in _VALUES:
            options[_VALUES[word]] = next(rest, "")
        elif word in _SWITCHES:
            name, value = _SWITCHES[word]
            options[name] = value
        else:
            warn(f"option {word!r} is not known")
    return options


def _service(options: dict[str, str], words: list[str], warn: Warn) -> Service | None:
    identity = _identity(options, warn)
    if identity is None:
        return None
    given = options.get("sched_flags", "")
    return Service(
        protocol=options["protocol"],
        scheduler=options.get("scheduler"),
        flags=_after_scheduler(words),
        persistent_s=_number(options, "persistent", warn),
        netmask=options.get("netmask"),
        ops="ops" in options,
        pe=options.get("pe"),
        sched_flags=tuple(filter(None, given.split(","))),
        **identity,
    )


def _identity(options: dict[str, str], warn: Warn) -> dict[str, Any] | None:
    name = options.get("name", "")
    if options.get("protocol") == "FWM":
        if not _MARK.fullmatch(name) or not -(2**31) <= int(name) <= MAX_MARK:
            return None
        family = "ipv6" if "ipv6" in options else "ipv4"
        return {"fwmark": int(name) & MAX_MARK, "family": family}
    end = ipvsadm_end(name, warn) if name else None
    if end is None:
        return None
    family = "ipv6" if name.startswith("[") else "ipv4"
    return {
        "address": end.address,
        "port": end.port,
        "port_name": end.port_name,
        "family": family,
    }


def _after_scheduler(words: list[str]) -> str:
    for at, word in enumerate(words):
        if word in _SCHEDULER_SWITCHES:
            return " ".join(words[at + 2 :])
    return ""


def _destination(end: End, options: dict[str, str], warn: Warn) -> Destination:
    tunnel = (options.get(name) for name in ("tun_type", "tun_port", "tun_flags"))
    return Destination(
        address=end.address,
        port=end.port,
        port_name=end.port_name,
        forward=options.get("forward"),
        weight=_number(options, "weight", warn),
        uthreshold=_number(options, "uthreshold", warn),
        lthreshold=_number(options, "lthreshold", warn),
        tunnel_info=":".join(filter(None, tunnel)) or None,
    )


def _number(options: dict[str, str], name: str, warn: Warn) -> int | None:
    word = options.get(name)
    if word is None:
        return None
    if _NUMBER.fullmatch(word):
        return int(word)
    warn(f"{name} {word!r} is not a number")
    return None
