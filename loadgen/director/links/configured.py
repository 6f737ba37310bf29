"""Directors that are configured: in ``loadgen.toml`` or the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from loadgen.errors import UsageProblem
from loadgen.session.configuration import configurations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIRECTORS_VARIABLE = "LOADGEN_DIRECTOR"


class Configured(NamedTuple):
    """Directors that are configured, and where."""

    specs: list[str]
    where: str


def configured(vip: str | None) -> Configured:
    """``loadgen.toml`` here, then in ~/.config, then the environment.

    Raises:
        UsageProblem: a file cannot be read, or does not say which directors are meant.
    """
    return configured_each([vip])[0]


def configured_each(vips: Sequence[str | None]) -> list[Configured]:
    """The same for several VIPs, in their order; a file is read once, and only if it is needed."""
    found: dict[str | None, Configured] = {}
    for file in configurations():
        for vip in vips:
            if vip not in found and (specs := directors_in(file.content, vip, where=file.where)):
                found[vip] = Configured(specs, file.where)
        if all(vip in found for vip in vips):
            break
    text = os.environ.get(DIRECTORS_VARIABLE, "")
    specs = [spec.strip() for spec in text.replace("\n", ";").split(";") if spec.strip()]
    return [found.get(vip) or Configured(specs, DIRECTORS_VARIABLE) for vip in vips]


def directors_in(config: Mapping[str, Any], vip: str | None, *, where: str) -> list[str]:
    """A VIP's own ``[vip."ADDRESS"] directors``, else the ``directors`` for all VIPs.

    Without a VIP and without those for all, the ones that every VIP has which has any.

    Raises:
        UsageProblem: one of them is not a list of strings, or no VIP is given and they differ.
    """
    sections = config.get("vip", {})
    by_vip = {
        address: _specs(section["directors"], where)
        for address, section in (sections.items() if isinstance(sections, dict) else ())
        if isinstance(section, dict) and section.get("directors")
    }
    if vip is not None and vip in by_vip:
        return by_vip[vip]
    specs = _specs(config.get("directors", []), where)
    if vip is not None or specs or not by_vip:
        return specs
    first, *others = by_vip.values()
    if any(sorted(other) != sorted(first) for other in others):
        raise UsageProblem(
            f"{where}: the directors of {', '.join(by_vip)} differ: name one VIP "
            "(verify --vip, collect --service), or the directors with --director"
        )
    return first


def _specs(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(spec, str) for spec in value):
        raise UsageProblem(f"{where}: directors: expected a list of strings")
    return value
