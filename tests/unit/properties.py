"""How many examples a property tries that needs more than others, or can afford fewer."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

FEWEST = 5


def examples(number: int, **more: Any) -> settings:
    """``number`` where others try 100: as many of them as the profile in force allows."""
    return settings(max_examples=max(FEWEST, number * settings().max_examples // 100), **more)
