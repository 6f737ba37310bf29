"""Times in many languages. The texts are what ``date`` of glibc 2.36 prints for one instant."""

# ruff: noqa: RUF001 - other alphabets

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadgen.importing.times.languages import DAYS_OF, MONTHS_OF
from loadgen.importing.times.names import DAYS, ENGLISH, MONTHS
from loadgen.importing.times.written import MAY_BE_TIME, written_alone, written_before

DATE = "2026-11-28 04:59:40"

GLIBC = {
    "de_DE": "Sa 28. Nov 04:59:40 CET 2026",
    "de_AT": "Sa 28 Nov 2026 04:59:40 CET",
    "fr_FR": "sam. 28 nov. 2026 04:59:40 CET",
    "fr_CA": "sam 28 nov 2026 04:59:40 CET",
    "es_ES": "sáb 28 nov 2026 04:59:40 CET",
    "pt_BR": "sáb 28 nov 2026 04:59:40 CET",
    "it_IT": "sab 28 nov 2026, 04:59:40, CET",
    "nl_NL": "za 28 nov 2026  4:59:40 CET",
    "pl_PL": "sob, 28 lis 2026, 04:59:40 CET",
    "ru_RU": "Сб 28 ноя 2026 04:59:40 CET",
    "uk_UA": "субота, 28 листопада 2026 04:59:40 CET",
    "zh_CN": "2026年 11月 28日 星期六 04:59:40 CET",
    "zh_TW": "西元2026年11月28日 (週六) 04時59分40秒 CET",
    "ja_JP": "2026年 11月 28日 土曜日 04:59:40 CET",
    "ko_KR": "2026. 11. 28. (토) 04:59:40 CET",
    "sv_SE": "lör 28 nov 2026 04:59:40 CET",
    "da_DK": "lør 28 nov 04:59:40 CET 2026",
    "fi_FI": "la 28.11.2026 04.59.40 CET",
    "cs_CZ": "So 28. listopadu 2026, 04:59:40 CET",
    "hu_HU": "2026. nov. 28., szombat, 04:59:40 CET",
    "ro_RO": "sâmbătă 28 noiembrie 2026, 04:59:40 CET",
    "tr_TR": "Cts 28 Kas 2026 04:59:40 CET",
    "el_GR": "Σαβ 28 Νοε 2026 04:59:40 πμ CET",
    "ca_ES": "dissabte, 28 de novembre de 2026, 04:59:40 CET",
    "bg_BG": "28.11.2026 (сб)  4:59:40 CET",
    "vi_VN": "Thứ bảy, 28 Tháng 11 năm 2026 04:59:40 CET",
    "en_US": "Sat Nov 28 04:59:40 AM CET 2026",
    "en_IN": "Saturday 28 November 2026 04:59:40 AM CET",
    "en_DK": "2026-11-28T04:59:40 CET",
    "hr_HR": "subota, 28. studenoga 2026. 04:59:40 CET",
    "sl_SI": "sob 28 nov 2026 04:59:40 CET",
    "sr_RS": "суб, 28. нов 2026.  04:59:40 CET",
    "mk_MK": "саб, 28 ное 04:59:40 CET 2026",
    "be_BY": "Суб 28 ліс 2026 04:59:40 CET",
    "et_EE": "L 28 nov   2026 04:59:40 CET",
    "lv_LV": "sestdiena, 2026. gada 28. novembris, 04:59:40 CET",
    "lt_LT": "2026 m. lapkričio 28 d. 04:59:40 CET",
    "is_IS": "lau 28.nóv 2026, 04:59:40 CET",
    "sq_AL": "Sht 28 Nën 2026 04:59:40.PD CET",
    "th_TH": "ส. 28 พ.ย. 2569 04:59:40 CET",
    "he_IL": "04:59:40 2026 נוב 28 ש' CET",
    "ar_SA": "السبت 28 نوفمبر 2026  4:59:40 CET",
    "fa_IR": "\u202bشنبه ۲۸ نوامبر ۲۶، ساعت ۰۴:۵۹:۴۰ (CET)\u202c",
    "hi_IN": "शनिवार 28 नव॰ 2026 04:59:40 पूर्वाह्न CET",
    "kk_KZ": "Сб 28 Қар 2026 04:59:40 CET",
    "nn_NO": "la. 28. nov. 2026 kl. 04.59.40 CET",
}


@pytest.mark.parametrize("locale", GLIBC)
def test_a_date_of_each_locale_is_read(locale: str) -> None:
    assert MAY_BE_TIME.search(GLIBC[locale])
    assert written_alone(GLIBC[locale]) == f"{DATE} CET"
    assert written_alone(f"=== {GLIBC[locale]} ===") == f"{DATE} CET"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("28.11.2026 04:59:40", DATE),
        ("28/11/2026 04:59:40", DATE),
        ("11/28/2026 04:59:40", DATE),
        ("2026/11/28 04:59:40", DATE),
        ("28/Nov/2026:04:59:40 +0100", f"{DATE} +0100"),
        ("28-Nov-2026 04:59:40", DATE),
        ("2026-11-28_04:59:40", DATE),
        ("2026-11-28T04:59:40,123456789+01:00", f"{DATE}.123456789 +0100"),
        ("sáb 28 nov 2026 04:59:40 -03", f"{DATE} -0300"),
        ("11/28/2026 04:59:40 PM", "2026-11-28 16:59:40"),
        ("28/11/2026 12:59:40 AM", "2026-11-28 00:59:40"),
        ("2026年11月28日 下午 04:59:40", "2026-11-28 16:59:40"),
        ("mar. 24 nov. 2026 04:59:40 CET", "2026-11-24 04:59:40 CET"),  # mardi, no March
        ("mar. 3 mars 2026 04:59:40 CET", "2026-03-03 04:59:40 CET"),
        ("nov. 28 04:59:40", "Nov 28 04:59:40"),
        ("poll at 28 nov 2026 04:59:40", DATE),
        ("poll 3: 28 nov 2026 04:59:40", DATE),
        ("# sample 3 at Sat Nov 28 04:59:40 2026", DATE),
        ("28 Nov 26 04:59:40", DATE),
        ("28Nov2026 04:59:40", DATE),
        ("28/11/26 04:59:40", f"dmy={DATE[:10]}|ymd=2028-11-26 04:59:40"),
        ("06.05.26 04:59:40", "dmy=2026-05-06|ymd=2006-05-26 04:59:40"),  # the month begins no dots
        ("05/06/2026 04:59:40", "dmy=2026-06-05|mdy=2026-05-06 04:59:40"),
        ("Fri 05/06/2026 04:59:40", "2026-06-05 04:59:40"),
        ("2026-11-28 4:59:40", DATE),
    ],
)
def test_other_written_forms_are_read(text: str, expected: str) -> None:
    assert written_alone(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "04:59:40",
        "28 nov 2026",
        "TCP  192.0.2.80:80 wlc",
        "TCP 01:59  FIN_WAIT    192.0.2.9:4000 192.0.2.80:80 192.0.2.21:80",
        "28 nov 2026 04:59:40 28",
        "32/13/2026 04:59:40",
        "2026-13-28 04:59:40",
        "this poll was begun here 28 nov 2026 04:59:40",
        "29 nov 2026 04:59:40 05:00:00",
    ],
)
def test_what_is_no_time_or_more_than_one_is_not_read(text: str) -> None:
    assert written_alone(text) is None


@pytest.mark.parametrize(
    ("line", "stamp", "rest"),
    [
        ("nov. 28 04:59:40 IP Virtual Server", "Nov 28 04:59:40", " IP Virtual Server"),
        ("Sat 2026-11-28 04:59:40 CET lb1 x[1]: IP", f"{DATE} CET", " lb1 x[1]: IP"),
        ("28.11.2026 04:59:40 TCP  1.2.3.4:80 wlc", DATE, " TCP  1.2.3.4:80 wlc"),
        ("[sam. 28 nov. 2026 04:59:40 CET] IP", f"{DATE} CET", "] IP"),
        ("11/28/2026 04:59:40 PM UDP  1.2.3.4:53 rr", "2026-11-28 16:59:40", " UDP  1.2.3.4:53 rr"),
    ],
)
def test_a_stamp_before_a_line_ends_where_the_line_begins(line: str, stamp: str, rest: str) -> None:
    found = written_before(line)
    assert found is not None
    assert (found.text, line[found.end :]) == (stamp, rest)


def test_names_stand_for_one_month_but_for_those_that_croatian_shares() -> None:
    shared = {name: months for name, months in MONTHS.items() if len(months) > 1}
    assert shared == {
        "lip": (7, 6),
        "srp": (8, 7),
        "lis": (11, 10),
        "listopad": (11, 10),
        "listopada": (11, 10),
    }
    assert {len(names.split()) for names in MONTHS_OF.values()} == {12}
    assert {len(names.split()) for names in DAYS_OF.values()} == {7}
    assert (DAYS["sun"], DAYS["fredag"], DAYS["mar"]) == ((0,), (5,), (2,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pet 05 lip 2026 04:59:40", "2026-06-05 04:59:40"),  # petak is a Friday
        ("nie, 5 lip 2026, 04:59:40", "2026-07-05 04:59:40"),  # niedziela a Sunday
        ("lip  5 04:59:40", "0=Jul 5|1=Jun 5 04:59:40"),
    ],
)
def test_a_name_of_two_months_is_the_one_whose_day_of_the_week_it_is(
    text: str, expected: str
) -> None:
    assert written_alone(text) == expected


@pytest.mark.parametrize("month", ["11月", "11월", "Thg 11", "11月 "])
def test_a_numbered_month_is_no_day(month: str) -> None:
    assert written_alone(f"{month} 5 04:59:40") == "Nov 5 04:59:40"
    assert written_alone(f"{month} 28 04:59:40") == "Nov 28 04:59:40"


@pytest.mark.parametrize(
    "text",
    [
        "mar 28 xyz 2026 04:59:40",  # a Tuesday of an unknown month, not March
        "Mar 13 Xyz 2026 04:59:40 CET",
        "05 Xyz 2026 04:59:40",
        "bal01: 05 Xyz 2026 04:59:40",
        "poll 28 Nov 26 04:59:40",  # of 2026, or the 26th
        "04:59:40 up 3 days, 2:11, 1 user",
    ],
)
def test_a_date_with_a_word_that_is_not_known_is_not_read(text: str) -> None:
    assert written_alone(text) is None


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(sorted(MONTHS_OF)),
    st.sampled_from(
        ["{d} {m} {y} {t}", "{m} {d} {t} {y}", "{y} {m} {d}., {t}", "{d}. {m} {t} CET {y}"]
    ),
)
@example(at=datetime(2000, 5, 1), language="el", form="{d} {m} {y} {t}")  # of combining marks
def test_any_day_in_any_language_is_that_day(at: datetime, language: str, form: str) -> None:
    names = MONTHS_OF[language].split()[at.month - 1].split("/")
    for name in names:
        text = form.format(d=at.day, m=name, y=at.year, t=f"{at:%H:%M:%S}")
        found = written_alone(text)
        assert found is not None, text
        days, time = found.removesuffix(" CET").split(" ")
        assert f"{at.year}-{at:%m-%d}" in [day.partition("=")[2] or day for day in days.split("|")]
        assert time == f"{at:%H:%M:%S}"


@given(st.text())
def test_any_text_is_read_or_not_and_said_again_it_stays(text: str) -> None:
    for found in (written_alone(text), (written_before(text) or ("",))[0]):
        if found and not any(name in found for name in ENGLISH):
            assert written_alone(found) == found
