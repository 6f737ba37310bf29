"""``loadgen.toml``: directors, and defaults of a burst; here, then in ~/.config."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.errors import UsageProblem
from loadgen.session.files import home_directory, read_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

CONFIG_NAME = "loadgen.toml"
MAX_CONFIG_BYTES = 1 << 20
TOP_KEYS = ("directors", "vip", "burst")
VIP_KEYS = ("directors",)
_SHOWN_KEY = 60  # characters
_MOST_KEYS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One file.

    Attributes:
        where: its path, for messages.
        content: its tables; the keys of all but ``burst`` are known ones.
    """

    where: str
    content: Mapping[str, Any]


def configurations() -> Iterator[Configuration]:
    """Every ``loadgen.toml`` that is there, the nearest first.

    Raises:
        UsageProblem: one cannot be read, or has a key that nobody knows.
    """
    home = home_directory()
    for path in (Path(CONFIG_NAME), *([home / ".config" / CONFIG_NAME] if home else [])):
        if path.exists():
            yield Configuration(where=str(path), content=_read(path))


def burst_defaults() -> tuple[str, Mapping[str, Any]] | None:
    """The ``[burst]`` of the nearest file that has one, and the file; raises as the above."""
    for configuration in configurations():
        if defaults := configuration.content.get("burst"):
            return configuration.where, defaults
    return None


def check_keys(where: str, keys: Collection[str], known: Collection[str]) -> None:
    """Refuse what nobody knows, which else would be silently without effect.

    Args:
        where: file and table, for the message.
        keys: that are there.
        known: that may be there.

    Raises:
        UsageProblem: with the first unknown key, and the known one that is like it.
    """
    for key in keys:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"expected {_in_words(known)}"
            raise UsageProblem(f"{where}: unknown key {key[:_SHOWN_KEY]!r}; {meant}")


def _in_words(known: Collection[str]) -> str:
    if len(known) <= _MOST_KEYS:
        return ", ".join(known)
    return f"one such as {', '.join(list(known)[:_MOST_KEYS])}"


def _read(path: Path) -> Mapping[str, Any]:
    text = read_text(path, MAX_CONFIG_BYTES)
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{path}: {error}") from error
    check_keys(str(path), content, TOP_KEYS)
    for name in ("vip", "burst"):
        _check_table(f"{path}: {name}", content.get(name, {}))
    for address, section in content.get("vip", {}).items():
        where = f'{path}: [vip."{address[:_SHOWN_KEY]}"]'
        _check_table(where, section)
        check_keys(where, section, VIP_KEYS)
    return content


def _check_table(where: str, value: object) -> None:
    if not isinstance(value, dict):
        raise UsageProblem(f"{where}: expected a table")
