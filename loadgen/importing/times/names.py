# ruff: noqa: RUF001 - names in other alphabets
"""Names of months, days and halves of a day, as they are looked up.

Months of several languages share no name for two different ones, but for Croatian, Polish and
Czech (``lip`` is June or July): the day of the week says which, or when the log was written.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from loadgen.importing.times.languages import DAYS_OF, MONTHS_OF

if TYPE_CHECKING:
    from collections.abc import Mapping


def folded(word: str) -> str:
    """A name as it is looked up: in small letters, composed, without an abbreviation's dot."""
    small = unicodedata.normalize("NFC", word.casefold())
    return small.rstrip(".").removeprefix("d’").removeprefix("d'")


def _numbers(languages: Mapping[str, str], first: int) -> dict[str, tuple[int, ...]]:
    """What each folded name stands for: numbers from ``first``, of the first language on."""
    numbers: dict[str, tuple[int, ...]] = {}
    for names in languages.values():
        for number, forms in enumerate(names.split(), first):
            for form in forms.replace("_", "/").split("/"):
                known = numbers.get(folded(form), ())
                numbers[folded(form)] = known if number in known else (*known, number)
    return numbers


MONTHS: Final = _numbers(MONTHS_OF, 1)
"""The months of a folded name, from 1: one, but for those that two languages share."""

DAYS: Final = _numbers(DAYS_OF, 0)
"""The days of the week of a folded name, Sunday being 0; some names are months' too (``mar``)."""

ENGLISH: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]

BEFORE_NOON: Final = frozenset(
    ["am", "a.m", "πμ", "上午", "午前", "오전", "ص", "पूर्वाह्न", "pd", "vm", "fh", "asubuhi", "পূর্বাহ্ণ"]
)
AFTER_NOON: Final = frozenset(
    ["pm", "p.m", "μμ", "下午", "午後", "오후", "م", "अपराह्न", "md", "nm", "eh", "alasiri", "অপরাহ্ণ"]
)
_JOINTS: Final = (
    "de del den of at um à a o г р kl klo às alle en the le el 年 月 日 公元 西元 公曆 năm t om в "
    "na m d gada ob u წლის ساعت y e i da"
)
JOINTS: Final = frozenset(_JOINTS.split())
"""What stands between a date's parts."""

MONTH_NEXT: Final = frozenset(["tháng", "thg"])
"""What stands before a month's number."""

TWELVE_HOURS: Final = frozenset(
    name for day in (DAYS_OF["id"] + " " + DAYS_OF["ms"]).split() for name in day.split("/")
)
"""Days in the languages whose ``date`` counts twelve hours, and does not say which twelve."""
