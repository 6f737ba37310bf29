"""What an expectation may look like."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.checks.grammar import UNITS, Amount, ExpectationError, parse_expectation


def amount(number: float, unit: str = "") -> Amount:
    return Amount(number=number, unit=unit)


CASES = [
    ("tcpfin=30±1s", ("tcpfin", (), "=", amount(30), amount(1, "s"))),
    ("tcpfin = 30s +- 5 %", ("tcpfin", (), "=", amount(30, "s"), amount(5, "%"))),
    ("tcpfin==30+/-1s", ("tcpfin", (), "=", amount(30), amount(1, "s"))),
    ("inactive_peak<=1200", ("inactive_peak", (), "<=", amount(1200), None)),
    ("connect_p99.9<50ms", ("connect_p99.9", (), "<", amount(50, "ms"), None)),
    ("state(FIN_WAIT)>=99%", ("state", ("FIN_WAIT",), ">=", amount(99, "%"), None)),
    (
        "timeout(CLOSE, bal-01.x)!=2m",
        ("timeout", ("CLOSE", "bal-01.x"), "!=", amount(2, "m"), None),
    ),
    ("rate>500/s", ("rate", (), ">", amount(500, "/s"), None)),
    ("forwarding=dr", ("forwarding", (), "=", "dr", None)),
]


@pytest.mark.parametrize(
    ("text", "parts"), CASES, ids=[text.replace("±", "+-") for text, _ in CASES]
)
def test_each_part_is_found(text: str, parts: tuple[object, ...]) -> None:
    found = parse_expectation(text)
    assert found.text == text
    assert (
        found.quantity,
        found.arguments,
        found.relation,
        found.value,
        found.tolerance,
    ) == parts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at character 1"),
        ("tcpfin", "not understood at character"),
        ("tcpfin=", "not understood at character"),
        ("tcpfin=30x", "at character 10"),
        ("tcpfin=30 30", "at character 11"),
        ("state(FIN_WAIT>=9", "at character 15"),
        pytest.param(
            "tcpfin>30±1s", "a tolerance goes with = or !=, not with >", id="tcpfin>30+-1s"
        ),
        ("forwarding>dr", "a word goes with = or !=, not with >"),
        ("tcpfin=" + "3" * 300, "at most 200"),
    ],
)
def test_what_is_none_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ExpectationError, match="expectation") as caught:
        parse_expectation(text)
    assert said in str(caught.value)


@given(
    number=st.integers(0, 10**6),
    unit=st.sampled_from(["", *UNITS]),
    tolerance=st.sampled_from(["", "±1s", "+-0.5s", "+/-3%"]),
    blanks=st.sampled_from(["", " "]),
)
def test_what_is_written_is_read(number: int, unit: str, tolerance: str, blanks: str) -> None:
    text = f"tcpfin{blanks}={blanks}{number}{blanks}{unit}{blanks}{tolerance}"
    found = parse_expectation(text)
    assert found.value == Amount(number=number, unit=unit)
    assert (found.tolerance is None) == (not tolerance)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_as_ours(text: str) -> None:
    with contextlib.suppress(ExpectationError):
        assert parse_expectation(text).text == text
