"""Several workers asked at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

Answer = TypeVar("Answer")


async def all_of(*asking: Awaitable[Answer]) -> list[Answer]:
    """All answers, in order; where some fail, the first of these errors, once none is under way.

    ``asyncio.gather`` alone raises as soon as one has failed, and the others go on.
    """
    answers = await asyncio.gather(*asking, return_exceptions=True)
    good: list[Answer] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        good.append(answer)
    return good
