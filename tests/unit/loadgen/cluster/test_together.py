"""Several asked at once."""

from __future__ import annotations

import asyncio

import pytest

from loadgen.cluster.together import all_of
from tests.unit.waiting import turns


async def answer(number: int, ended: list[int], waits: int = 0, *, fails: bool = False) -> int:
    await turns(waits)
    ended.append(number)
    if fails:
        raise ValueError(str(number))
    return number


def test_answers_come_in_the_order_of_the_questions() -> None:
    async def main() -> list[int]:
        return await all_of(answer(1, [], waits=3), answer(2, []))

    assert asyncio.run(main()) == [1, 2]


def test_the_first_error_is_raised_once_all_have_ended() -> None:
    ended: list[int] = []

    async def main() -> None:
        await all_of(
            answer(1, ended, waits=3, fails=True),
            answer(2, ended, fails=True),
            answer(3, ended, waits=6),
        )

    with pytest.raises(ValueError, match="1"):
        asyncio.run(main())
    assert ended == [2, 1, 3]
