"""Lines that fit a terminal: words stay whole, columns stay under one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.layout import MOST, aligned, fitted, prose_width, wrapped

words = st.text("abc-xyz.:/0189", min_size=1, max_size=12)
texts = st.lists(words, min_size=1, max_size=30).map(" ".join)


@given(texts, st.integers(12, 120))
def test_wrapped_lines_fit_and_have_the_same_words(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert " ".join(lines).split() == text.split()
    assert max(map(len, lines)) <= width


def test_a_word_that_is_longer_than_the_line_stays_whole() -> None:
    assert wrapped("see /a/very/long-path/indeed now", 10) == [
        "see",
        "/a/very/long-path/indeed",
        "now",
    ]


@given(texts, st.none() | st.integers(40, 120))
def test_a_fitted_line_has_the_same_words_and_fits_the_terminal(
    line: str, columns: int | None
) -> None:
    lines = fitted(line, columns)
    assert " ".join(lines).split() == line.split()
    if columns is None:
        assert lines == [line]
    else:
        assert max(map(len, lines)) <= columns


def test_what_follows_stands_under_the_last_column_of_the_line() -> None:
    line = "  source ports      one two three four five six seven eight nine"
    assert fitted(line, 40) == [
        "  source ports      one two three four",
        "                    five six seven eight",
        "                    nine",
    ]
    assert fitted("warning: one two three four five six seven", 40) == [
        "warning: one two three four five six",
        "  seven",
    ]


def test_prose_is_as_wide_as_the_terminal_and_never_too_wide_to_read() -> None:
    assert [prose_width(n) for n in (None, 60, 80, 240)] == [MOST, 60, 80, MOST]


ROWS = (
    ("run", "peak", "remark"),
    ("one", "5", "it is so and so and it is so"),
    ("two", "1,000", ""),
)


@pytest.mark.parametrize("columns", [None, 80])
def test_cells_stand_under_one_another(columns: int | None) -> None:
    assert aligned(ROWS, (False, True, False), columns, "  ") == [
        "  run   peak  remark",
        "  one      5  it is so and so and it is so",
        "  two  1,000",
    ]


def test_texts_are_wrapped_in_their_columns_where_the_terminal_is_narrow() -> None:
    assert aligned(ROWS, (False, True, False), 32) == [
        "run   peak  remark",
        "one      5  it is so and so and",
        "            it is so",
        "two  1,000",
    ]


def test_columns_that_do_not_fit_become_several_tables_with_the_first_column() -> None:
    rows = [("run", *(f"figure_{n}" for n in range(6))), ("one", *map(str, range(6)))]
    assert aligned(rows, (False, *(True,) * 6), 40) == [
        "run  figure_0  figure_1  figure_2",
        "one         0         1         2",
        "",
        "run  figure_3  figure_4  figure_5",
        "one         3         4         5",
    ]
    assert len(aligned(rows, (False, *(True,) * 6), None)) == 2  # a file is not split


def test_no_rows_are_no_lines() -> None:
    assert aligned([], (), 80) == []


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(texts | st.just(""), min_size=n, max_size=n), min_size=1, max_size=4),
            st.lists(st.booleans(), min_size=n, max_size=n),
        )
    ),
    st.none() | st.integers(40, 120),
)
def test_every_word_of_every_cell_is_shown_whole(
    table: tuple[list[list[str]], list[bool]], columns: int | None
) -> None:
    rows, right = table
    lines = aligned(rows, right, columns)
    shown = {word for line in lines for word in line.split()}
    assert {word for row in rows for cell in row for word in cell.split()} <= shown
    assert lines == [line.rstrip() for line in lines]
    if columns is not None and not any(right) and len(right) == 1:
        assert max(map(len, lines)) <= columns
